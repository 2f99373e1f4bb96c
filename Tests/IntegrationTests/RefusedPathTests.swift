import Foundation
import Testing

/// When the path that was asked for cannot be: exit code, reason, and TCP for those who did not insist.
@Suite struct RefusedPathTests {
    enum Absence: String, CaseIterable {
        case switchedOff = "none"
        case nobodyListens = "nobody.sock"
    }

    @Test(arguments: Absence.allCases)
    func withoutAHypervisor(_ absence: Absence) async throws {
        try await Scene.play { scene in
            let hypervisor = absence == .switchedOff ? "none" : scene.path(absence.rawValue)
            let reason = absence == .switchedOff ? "shared memory is switched off" : scene.path(absence.rawValue)
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0", hypervisor: hypervisor)
            let port = try await echo.port()
            let insisting = try scene.smc(
                "connect", "--require", "shm", "127.0.0.1:\(port)", hypervisor: hypervisor, input: .pipe)
            try await scene.expectComplaint(
                insisting, code: 3, "path tcp was taken, not shared-memory", reason, "smc hypervisor")

            try scene.writeRandom("in", byteCount: 1_000_000)
            let content = try scene.smc(
                "connect", "--json", "127.0.0.1:\(port)", hypervisor: hypervisor, input: .file(scene.path("in")))
            #expect(try await content.exit() == 0)
            #expect(content.outputData == FileManager.default.contents(atPath: scene.path("in")))
            #expect(try content.json()["path"] == .text("tcp"))
            #expect(try content.json()["reason"]?.text?.contains(reason) == true)
        }
    }

    @Test func aListenerWithoutAHypervisor() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let listener = try scene.smc("listen", "--require", "shm", "127.0.0.1:0", hypervisor: "none")
            let port = try await listener.port()
            let client = try scene.smc("connect", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
            try await scene.expectComplaint(client, code: 3, "the peer declined", "SMC-D")
            try await scene.expectComplaint(listener, code: 3, "shared memory is switched off")
        }
    }

    @Test func aFullPool() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor(pool: "1M")
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            // Clients that hold their connections, until the books say that nothing is free.
            var holders: [Program] = []
            while try await scene.books().pools.contains(where: { $0.free > 0 }), holders.count < 64 {
                let holder = try scene.smc("connect", "127.0.0.1:\(port)", input: .pipe)
                try holder.write("x".utf8)
                try await scene.until("the holder is served") { holder.output == "x" }
                holders.append(holder)
            }
            let insisting = try scene.smc("connect", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
            try await scene.expectComplaint(insisting, code: 3, "path tcp was taken", "pool")
            let content = try scene.smc("ping", "--count", "10", "--json", "127.0.0.1:\(port)")
            #expect(try await content.exit() == 0)
            #expect(content.output.contains("\"path\":\"tcp\""))
            // Those who hold it are not disturbed, and what they give back is used again.
            for holder in holders {
                try holder.write("y".utf8)
                try holder.closeInput()
                #expect(try await holder.exit() == 0)
                #expect(holder.output == "xy")
            }
            try await scene.untilUnused()
            let next = try scene.smc("ping", "--count", "10", "--require", "shm", "127.0.0.1:\(port)")
            #expect(try await next.exit() == 0, "\(next.errors)")
        }
    }

    /// The loopback device is never an RDMA device, so that this holds on every machine.
    @Test func withoutAnRDMADevice() async throws {
        try await Scene.play { scene in
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0", hypervisor: "none")
            let port = try await echo.port()
            let client = try scene.smc(
                "connect", "--require", "rdma", "127.0.0.1:\(port)", hypervisor: "none", input: .pipe)
            try await scene.expectComplaint(
                client, code: 3, "path tcp was taken, not rdma", "RDMA device", "rdma link add")
        }
    }

    @Test func endsOnDifferentVLANs() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor(pool: "64M", "--vlan", "red", "--vlan", "blue")
            let echo = try scene.smc("listen", "--echo", "--vlan", "red", "127.0.0.1:0")
            let port = try await echo.port()
            let stranger = try scene.smc(
                "connect", "--vlan", "blue", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
            try await scene.expectComplaint(stranger, code: 3, "path tcp was taken", "VLAN")
            let neighbour = try scene.smc(
                "ping", "--vlan", "blue", "--vlan", "red", "--require", "shm", "--count", "1", "127.0.0.1:\(port)")
            #expect(try await neighbour.exit() == 0, "\(neighbour.errors)")
        }
    }

    @Test func aVLANThatTheHypervisorDoesNotHave() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let insisting = try scene.smc(
                "connect", "--vlan", "green", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
            try await scene.expectComplaint(insisting, code: 3, "path tcp was taken", "green")
            let content = try scene.smc("ping", "--vlan", "green", "--count", "1", "--json", "127.0.0.1:\(port)")
            #expect(try await content.exit() == 0)
            #expect(content.output.contains("green"))
        }
    }
}
