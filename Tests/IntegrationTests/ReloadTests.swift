import Foundation
import Testing

/// A configuration that changes while programs go on.
@Suite struct ReloadTests {
    private static func configuration(_ vlans: String..., more: String = "") -> String {
        """
        serve: everyone
        pools: [{name: default, size: 64M}]
        vlans:
          - name: default
        \(vlans.map { "  - {\($0)}\n" }.joined())
        \(more)
        """
    }

    @Test func noConnectionIsDropped() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.governedHypervisor(Self.configuration("name: a"))
            var pairs: [(listener: Program, client: Program)] = []
            for _ in 0..<4 {
                pairs.append(
                    try await scene.pair(listenerInput: .nothing, clientInput: .pipe, options: ["--require", "shm"]))
            }
            var sent = ""
            for round in 0..<12 {
                let piece = String(repeating: "round \(round). ", count: 5000)
                sent += piece
                for pair in pairs { try pair.client.write(piece.utf8) }
                // A VLAN comes, changes, or goes; the function is switched; both ways to ask for it.
                let extra = round % 3 == 0 ? "name: b" : "name: b, slice: \(round)M, enabled: \(round % 2 == 0)"
                try scene.configure(
                    round % 4 == 3 ? Self.configuration("name: a") : Self.configuration("name: a", extra))
                if round % 2 == 0 {
                    try await scene.done("reload")
                } else {
                    hypervisor.send(SIGHUP)
                    try await scene.until("the signal was heeded") {
                        hypervisor.errorLines.count { $0.contains("is in force") } >= round + 1
                    }
                }
            }
            for pair in pairs {
                try pair.client.closeInput()
                #expect(try await pair.client.exit() == 0, "\(pair.client.errors)")
                #expect(try await pair.listener.exit() == 0, "\(pair.listener.errors)")
                #expect(pair.listener.output == sent)
            }
            hypervisor.send(SIGTERM)
            #expect(try await hypervisor.exit() == 0)
        }
    }

    @Test func aWrongFileKeepsTheOldOne() async throws {
        try await Scene.play { scene in
            let good = Self.configuration("name: a, slice: 8M")
            let hypervisor = try await scene.governedHypervisor(good)
            let before = try await scene.done("vlan list")
            let wrong = [
                ("vlans: [\n", "smc.yaml:2:1"), (good.replacingOccurrences(of: "slice", with: "slise"), "'slice'"),
                (good.replacingOccurrences(of: "everyone", with: "owner"), "'serve'"),
                (good + "\naudit-file: /nowhere/audit", "audit"),
                ("", "first VLAN|serve"), (good.replacingOccurrences(of: "64M", with: "128M"), "pool grow"),
            ]
            for (text, part) in wrong {
                try scene.configure(text)
                let reload = try scene.start(Program.smc, ["admin", "reload", "--socket", scene.socket])
                #expect(try await reload.exit() == 7, "\(text)")
                let parts = part.split(separator: "|")
                #expect(parts.contains { reload.errors.contains($0) }, "\(reload.errors) has no '\(part)'")
                #expect(reload.errorLines.count == 1, "\(reload.errors)")
                try await scene.refused("reload", "unsuitableConfiguration")
            }
            #expect(FileManager.default.createFile(atPath: scene.configurationPath, contents: Data([0xff, 0xfe, 0])))
            try await scene.refused("reload", "unsuitableConfiguration")
            try FileManager.default.removeItem(atPath: scene.configurationPath)
            try await scene.refused("reload", "unsuitableConfiguration")
            hypervisor.send(SIGHUP)
            _ = try await hypervisor.line("stays as it was")
            #expect(try await scene.done("vlan list") == before)
            try scene.configure(good.replacingOccurrences(of: "8M", with: "9M"))
            try await scene.done("reload")
            #expect(try await scene.done("vlan list")["vlans"]?.named("a")?["sliceByteCount"] == .mebibytes(9))
        }
    }

    @Test func aPoolThatWasGrownMaySaySoInTheFile() async throws {
        try await Scene.play { scene in
            let text = """
                serve: everyone
                pools: [{name: fast, size: 16M}, {name: big, size: 32M}]
                vlans: [{name: a}, {name: b, pool: big, slice: 16M}]
                """
            try await scene.governedHypervisor(text)
            let pools = try await scene.done("pool list")["pools"]?.list ?? []
            #expect(Set(pools.compactMap { $0["pool"]?.text }) == ["fast", "big"])
            let other = text.replacingOccurrences(of: "32M", with: "64M") + "\n"
            try scene.configure(other)
            try await scene.refused("reload", "unsuitableConfiguration")
            try await scene.done("pool grow big 32M")
            try await scene.done("reload")
        }
    }

    /// One part of the file cannot be applied, so that none is.
    @Test func allOrNothing() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.configuration("name: a", "name: b, slice: 8M"))
            let echo = try scene.smc("listen", "--echo", "--vlan", "a", "127.0.0.1:0")
            _ = try await echo.port()
            try scene.configure(Self.configuration("name: b, slice: 4M", "name: c"))
            try await scene.refused("reload", "unsuitableConfiguration")
            let vlans = try await scene.done("vlan list")["vlans"]
            #expect(vlans?.list.count == 3 && vlans?.named("c") == nil)
            #expect(vlans?.named("b")?["sliceByteCount"] == .mebibytes(8))
            // Nobody is on it any more.
            echo.send(SIGTERM)
            _ = try await echo.exit()
            try await scene.until("the VLAN is empty") {
                try await scene.done("vlan list")["vlans"]?.named("a")?["partitions"] == .number(0)
            }
            try await scene.done("reload")
            let after = try await scene.done("vlan list")["vlans"]
            #expect(after?.named("a") == nil && after?.named("c") != nil)
            #expect(after?.named("b")?["sliceByteCount"] == .mebibytes(4))
        }
    }

    @Test func withoutAFileThereIsNothingToReload() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor()
            try await scene.refused("reload", "notSupported")
            hypervisor.send(SIGHUP)
            #expect(try await hypervisor.exit() == 0, "SIGHUP ends it")
        }
    }

    @Test(arguments: [
        ("pools: [{name: x, sise: 1M}]", "smc.yaml:1:19: pool 'x' has no key 'sise'; did you mean 'size'?"),
        ("- a\n", "smc.yaml:1:1: the file is not"),
        ("roles: [{name: a, users: no-such-user, rights: look}]", "no-such-user"),
    ]) func aWrongFileAtTheStart(_ text: String, _ part: String) async throws {
        try await Scene.play { scene in
            try scene.configure(text)
            for more in [[], ["--check-config"]] {
                let hypervisor = try scene.start(
                    Program.smc,
                    ["hypervisor", "--socket", scene.socket, "--config", scene.configurationPath] + more)
                try await scene.expectComplaint(hypervisor, code: 78, part)
            }
        }
    }

    @Test func limitsOfTheFileHold() async throws {
        try await Scene.play { scene in
            try await scene.governedHypervisor(Self.configuration(more: "limits: {partitions: 1}"))
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let refused = try scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(port)")
            #expect(try await refused.exit() == 3)
            #expect(refused.errors.contains("as many as this hypervisor may have"), "\(refused.errors)")
            try scene.configure(Self.configuration(more: "limits: {partitions: 2}"))
            try await scene.done("reload")
            let served = try scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(port)")
            #expect(try await served.exit() == 0, "\(served.errors)")
        }
    }
}
