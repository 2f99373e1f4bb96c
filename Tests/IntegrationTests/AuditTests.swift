import Foundation
import Testing

/// The audit log of a hypervisor that people use.
@Suite struct AuditTests {
    @Test func nothingIsMissingAlsoWhenTheFileIsRotated() async throws {
        try await Scene.play { scene in
            let audit = scene.path("audit")
            let hypervisor = try await scene.governedHypervisor(
                """
                serve: everyone
                vlans: [{name: default}, {name: closed, access: authorised}]
                audit-file: \(audit)
                """)
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let rounds = 6
            for round in 0..<rounds {
                let ping = try scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(port)")
                #expect(try await ping.exit() == 0, "\(ping.errors)")
                // Moved away at any moment, with and without the signal.
                try FileManager.default.moveItem(atPath: audit, toPath: "\(audit).\(round)")
                if round % 2 == 0 { hypervisor.send(SIGHUP) }
                try await scene.done("vlan create v\(round)")
            }
            let stranger = try scene.smc("ping", "--require", "shm", "--vlan", "closed", "127.0.0.1:\(port)")
            #expect(try await stranger.exit() == 3)
            echo.send(SIGKILL)
            _ = try await echo.exit()
            try await scene.until("its death is known") { try await scene.books().partitions.isEmpty }
            hypervisor.send(SIGTERM)
            #expect(try await hypervisor.exit() == 0)

            let names = (0..<rounds).map { "audit.\($0)" } + ["audit"]
            let lines = try names.flatMap { try scene.auditLines($0) }
            func count(_ event: String, _ result: String = "granted") -> Int {
                lines.count { $0["event"] == .text(event) && $0["result"] == .text(result) }
            }
            #expect(count("start") == 1 && lines.first?["event"] == .text("start"))
            #expect(count("stop") == 1 && lines.last?["event"] == .text("stop"))
            #expect(count("join") == rounds + 1 && count("end") == rounds + 1)
            #expect(count("join", "notAuthorisedOnVLAN") == 1)
            // Each connection: an SMB of each end, offered to and accepted by the other.
            for event in ["create", "bind", "accept"] { #expect(count(event) == 2 * rounds, "\(event)") }
            #expect(count("createVLAN") == rounds)
            let times = lines.compactMap { $0["time"]?.text }
            #expect(times.count == lines.count && times == times.sorted())
            for line in lines {
                #expect(line["event"] != nil && line["result"] != nil && line["pid"] != nil && line["uid"] != nil)
            }
            let death = lines.last { $0["event"] == .text("end") && $0["partition"] == .text("smc listen") }
            #expect(death?["pid"] == .number(Double(echo.processID)))
        }
    }

    @Test func aFullDiskIsHarmless() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.governedHypervisor("audit-file: /dev/full\n")
            for _ in 0..<3 {
                let (listener, client) = try await scene.pair(
                    listenerInput: .nothing, clientInput: .nothing, options: ["--require", "shm"])
                #expect(try await client.exit() == 0)
                #expect(try await listener.exit() == 0)
            }
            #expect(hypervisor.errorLines.count { $0.contains("audit log cannot be written") } == 1)
            hypervisor.send(SIGTERM)
            #expect(try await hypervisor.exit() == 0)
        }
    }

    @Test func withTheOptionAlone() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor(pool: "16M", "--audit-file", scene.path("audit"))
            try await scene.done("vlan create x")
            try FileManager.default.moveItem(atPath: scene.path("audit"), toPath: scene.path("audit.1"))
            hypervisor.send(SIGHUP)
            try await scene.done("vlan create y")
            hypervisor.send(SIGTERM)
            #expect(try await hypervisor.exit() == 0)
            let events = try scene.auditLines("audit.1", "audit").compactMap { $0["event"]?.text }
            #expect(events == ["start", "createVLAN", "createVLAN", "stop"])
        }
    }

    @Test func aPlaceThatCannotBeWritten() async throws {
        try await Scene.play { scene in
            let hypervisor = try scene.start(
                Program.smc, ["hypervisor", "--socket", scene.socket, "--audit-file", "/nowhere/audit"])
            try await scene.expectComplaint(hypervisor, code: 1, "/nowhere/audit", "No such file")
        }
    }
}
