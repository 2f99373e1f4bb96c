import Foundation
import Testing

/// `smc admin` and configuration files, with real processes.
@Suite struct AdministrationTests {
    private static let plain = """
        serve: everyone
        pools:
          - {name: default, size: 32M}
        vlans:
          - name: default
        """

    @Test func eachVerbSpeaksJSON() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.plain)
            try await scene.done("vlan create db --slice 8M --partition-limit 2M --access authorised")
            try await scene.done("vlan create temp --disabled")
            var vlans = try await scene.done("vlan list")["vlans"]
            #expect(vlans?.list.count == 3)
            let db = vlans?.named("db")
            #expect(db?["sliceByteCount"] == .mebibytes(8) && db?["partitionLimitByteCount"] == .mebibytes(2))
            #expect(db?["access"] == .text("authorised") && db?["enabled"] == .flag(true))
            #expect(db?["pool"] == .text("default") && db?["usedByteCount"] == .number(0))
            #expect(vlans?.named("temp")?["enabled"] == .flag(false))

            try await scene.done("vlan change db --access open --slice 6M")
            try await scene.done("disable db")
            try await scene.done("enable temp")
            vlans = try await scene.done("vlan list")["vlans"]
            #expect(vlans?.named("db")?["access"] == .text("open") && vlans?.named("db")?["enabled"] == .flag(false))
            #expect(vlans?.named("db")?["partitionLimitByteCount"] == .mebibytes(2), "it was not named")
            #expect(vlans?.named("temp")?["enabled"] == .flag(true))
            try await scene.done("slice set db 4M")
            #expect(
                try await scene.done("vlan list")["vlans"]?.named("db")?["sliceByteCount"] == .mebibytes(4))
            try await scene.done("slice free db")
            #expect(try await scene.done("vlan list")["vlans"]?.named("db")?["sliceByteCount"] == .null)

            try await scene.done("partition create orders --user root --user 4711 --group 0")
            try await scene.done("authorise orders db --limit 1M")
            var partitions = try await scene.done("partition list")
            let definition = partitions["definitions"]?.named("orders")
            #expect(definition?["users"] == .list([.number(0), .number(4711)]))
            #expect(definition?["groups"] == .list([.number(0)]))
            #expect(partitions["authorisations"]?.list.first?["vlan"] == .text("db"))
            #expect(partitions["authorisations"]?.list.first?["limitByteCount"] == .mebibytes(1))
            #expect(definition?["limitByteCount"] == .null)
            try await scene.done("partition change orders --user 4712 --limit 3M")
            try await scene.done("revoke orders db")
            partitions = try await scene.done("partition list")
            #expect(partitions["definitions"]?.named("orders")?["users"] == .list([.number(4712)]))
            #expect(partitions["definitions"]?.named("orders")?["limitByteCount"] == .mebibytes(3))
            #expect(partitions["authorisations"] == .list([]))
            try await scene.done("partition destroy orders")
            try await scene.done("vlan destroy temp")

            let pools = try await scene.done("pool list")["pools"]?.list ?? []
            #expect(pools.first?["pool"] == .text("default"))
            guard case .number(let grown)? = try await scene.done("pool grow default 8M")["byteCount"] else {
                throw Scene.Trouble(description: "how much has the pool grown?")
            }
            #expect(grown > 0 && grown <= 8_388_608)
            #expect(try await scene.done("pool list")["pools"]?.list != pools)
            guard case .number(let shrunk)? = try await scene.done("pool shrink default 8M")["byteCount"] else {
                throw Scene.Trouble(description: "how much has the pool shrunk?")
            }
            #expect(shrunk > 0 && shrunk <= 8_388_608)
            #expect(try await scene.done("address list")["partitions"] == .list([]))
            try await scene.done("disable")
            try await scene.done("enable")
            try await scene.done("reload")
        }
    }

    @Test func refusalsHaveACodeAndASentence() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.plain)
            try await scene.refused("vlan create default", "vlanExists")
            try await scene.refused("vlan create x --pool none", "unknownPool")
            try await scene.refused("vlan change x --access open", "unknownVLAN")
            try await scene.refused("vlan destroy x", "unknownVLAN")
            try await scene.refused("slice set x 1M", "unknownVLAN")
            try await scene.refused("enable x", "unknownVLAN")
            try await scene.refused("authorise nobody default", "undefinedPartition")
            try await scene.refused("partition destroy nobody", "undefinedPartition")
            try await scene.refused("pool grow none 1M", "unknownPool")
            let line = try scene.start(
                Program.smc, ["admin", "vlan", "destroy", "x", "--socket", scene.socket])
            try await scene.expectComplaint(line, code: 7, "VLAN x")
        }
    }

    /// Arguments of `smc admin`, and what the complaint must name.
    static let wrongUsages: [([String], String)] = [
        (["vlan", "create"], "name"), (["vlan", "create", "a b"], "a b"),
        (["vlan", "create", "x", "--slice", "0"], "0"),
        (["vlan", "create", "x", "--access", "shut"], "shut"), (["slice", "set", "x", "1ß"], "1ß"),
        (["partition", "create", "x"], "--user"), (["partition", "create", "x", "--user", "no such"], "no such"),
        (["partition", "create", "x", "--group", "no-such-group"], "no-such-group"), (["authorise", "x"], "vlan"),
        (["vlam"], "vlam"),
    ]

    @Test(arguments: wrongUsages) func wrongUsage(_ words: [String], _ part: String) async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.plain)
            let program = try scene.start(
                Program.smc, ["admin"] + words + (words == ["vlam"] ? [] : ["--socket", scene.socket]))
            #expect(try await program.exit() == 64, "\(program.errors)")
            #expect(program.errors.contains(part), "\(program.errors)")
        }
    }

    @Test func withoutAHypervisor() async throws {
        try await Scene.play { scene in
            let program = try scene.start(Program.smc, ["admin", "reload", "--json", "--socket", scene.socket])
            #expect(try await program.exit() == 6)
            #expect(try program.json()["code"] == .text("no-hypervisor"))
        }
    }

    // MARK: Roles

    private static let divided =
        plain + """

              - {name: web, slice: 8M}
              - {name: db, slice: 8M, access: authorised}
            partitions:
              - {name: orders, users: 4711, vlans: db}
            roles:
              - {name: web, users: 65533, rights: [look, quota, configure], vlans: web}
              - {name: door, groups: 4242, rights: authorise, vlans: db}
            """

    @Test(.enabled(if: getuid() == 0, "only root can become somebody else"))
    func administratorsHaveWhatTheirRolesSay() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.divided)
            let web = Stranger(userID: 65533, groupIDs: [])
            let door = Stranger(userID: 65534, groupIDs: [1, 4242])
            // By user, on one VLAN.
            try await scene.done(as: web, "slice set web 4M")
            try await scene.done(as: web, "disable web")
            try await scene.done(as: web, "vlan change web --access authorised")
            try await scene.refused(as: web, "slice set db 4M", "notAuthorized")
            try await scene.refused(as: web, "authorise orders web", "notAuthorized")
            try await scene.refused(as: web, "vlan create more", "notAuthorized")
            try await scene.refused(as: web, "disable", "notAuthorized")
            try await scene.refused(as: web, "reload", "notAuthorized")
            // By a supplementary group, on another.
            try await scene.done(as: door, "revoke orders db")
            try await scene.done(as: door, "authorise orders db")
            try await scene.refused(as: door, "authorise orders web", "notAuthorized")
            try await scene.refused(as: door, "vlan destroy db", "notAuthorized")
            // Nobody else.
            try await scene.refused(as: .nobody, "revoke orders db", "notAuthorized")
            #expect(try await scene.done(as: .nobody, "partition list")["definitions"] == .list([]))
            #expect(try await scene.done("partition list")["definitions"]?.list.count == 1)

            // Roles change with the file: for those who come, and for those who are there.
            try scene.configure(Self.divided.replacingOccurrences(of: "65533", with: "65534"))
            try await scene.done("reload")
            try await scene.refused(as: web, "slice set web 5M", "notAuthorized")
            try await scene.done(as: .nobody, "slice set web 5M")
        }
    }

    @Test(.enabled(if: getuid() == 0, "only root can become somebody else"))
    func othersAreNotServedUnlessTheFileSaysSo() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.divided.replacingOccurrences(of: "everyone", with: "owner"))
            // The socket itself is closed to them.
            let program = try scene.smc(as: .nobody, ["status", "--socket", scene.socket])
            #expect(try await program.exit() == 6, "\(program.errors)")
        }
    }

    // MARK: Use of memory

    @Test func memoryIsShownByVLANAndPartition() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.plain + "\n  - {name: db, partition-limit: 8M}\n")
            let echo = try scene.smc("listen", "--echo", "--vlan", "db", "127.0.0.1:0")
            let port = try await echo.port()
            let client = try scene.smc(
                "connect", "--require", "shm", "--vlan", "db", "127.0.0.1:\(port)", input: .pipe)
            try client.write("x".utf8)
            try await scene.until("the connection stands") { client.output == "x" }
            let status = try scene.start(Program.smc, ["status", "--json", "--socket", scene.socket])
            #expect(try await status.exit() == 0)
            let books = try JSONDecoder().decode([String: JSONTree].self, from: status.outputData)
            let usages = books["memory"]?.list ?? []
            #expect(Set(usages.compactMap { $0["partition"]?.text }) == ["smc listen", "smc connect"])
            var sum = 0.0
            for usage in usages {
                #expect(usage["vlan"] == .text("db") && usage["limitByteCount"] == .mebibytes(8))
                guard case .number(let count)? = usage["usedByteCount"] else { continue }
                #expect(count > 0)
                sum += count
            }
            #expect(books["vlans"]?.named("db")?["usedByteCount"] == .number(sum))
            let table = try scene.start(Program.smc, ["status", "--socket", scene.socket])
            #expect(try await table.exit() == 0)
            #expect(table.output.contains("\nmemory\n"))
            try client.closeInput()
            #expect(try await client.exit() == 0)
        }
    }
}
