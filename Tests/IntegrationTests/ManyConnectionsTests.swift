import Foundation
import Testing

/// Many connections of one process at once, and what is left of them afterwards: nothing.
@Suite struct ManyConnectionsTests {
    @Test func twoHundredConnectionsAllComeBackAndLeaveNothing() async throws {
        try await Scene.play(limit: 120) { scene in
            // Room for 200 connections with a ring in each direction.
            try await scene.hypervisor(pool: "128M")
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let first = try scene.smc("ping", "--count", "1", "127.0.0.1:\(port)")
            #expect(try await first.exit() == 0)
            try await scene.untilUnused()
            let before = try await scene.books()
            let descriptorCount = echo.descriptorCount

            let ping = try scene.smc(
                "ping", "--connections", "200", "--size", "1M", "--count", "1", "--json", "127.0.0.1:\(port)")
            try await scene.until("the connections show in the books") {
                guard ping.isRunning else { return true }
                return try await scene.books().connections.count >= 200
            }
            #expect(try await ping.exit() == 0, "\(ping.errors)")
            #expect(ping.output.contains("\"path\":\"shared-memory\""))
            #expect(ping.output.contains("\"connections\":200"))
            #expect(ping.output.contains("\"roundTrips\":200"))

            try await scene.untilUnused()
            #expect(try await scene.books() == before)
            try await scene.until("the descriptors are closed") { echo.descriptorCount <= descriptorCount + 2 }
            #expect(echo.errorLines.count == 1, "\(echo.errors)")
        }
    }

    @Test func connectionsOneAfterTheOtherLeaveNothing() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor(pool: "16M")
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            // More than the pool has room for, if any of them stayed.
            for _ in 0..<4 {
                let ping = try scene.smc(
                    "ping", "--connections", "20", "--size", "10K", "--count", "1", "--require", "shm",
                    "127.0.0.1:\(port)")
                #expect(try await ping.exit() == 0, "\(ping.errors)")
                try await scene.untilUnused()
            }
            #expect(try await scene.books().connections.isEmpty)
            #expect(try await scene.books().partitions.map(\.name) == ["smc listen"])
        }
    }
}

extension Scene {
    /// Until no SMB is in use and none is being zeroed.
    func untilUnused() async throws {
        try await self.until("all memory is given back") {
            let books = try await self.books()
            return books.smbs.isEmpty && books.pools.allSatisfy { $0.reclaiming == 0 } && books.partitions.count <= 1
                && books.connections.isEmpty
        }
    }
}
