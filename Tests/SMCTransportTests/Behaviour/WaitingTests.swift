import SMCSystem
import SMCTransport
import Testing

@testable import SMC

extension OneAtATime {
    /// Back-pressure, deadlines, cancellation and misuse, over every medium.
    @Suite(.timeLimit(.minutes(1))) struct WaitingTests {
        @Test(arguments: Medium.allCases) func aWriterWaitsForItsReader(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let total = medium.overflow
                let writer = Task {
                    try await pair.client.connection.send([UInt8](repeating: 9, count: total))
                    return ContinuousClock.now
                }
                try await Task.sleep(for: .milliseconds(150))
                let start = ContinuousClock.now
                let bytes = try await pair.server.receive(exactly: total)
                #expect(bytes.count == total)
                #expect(try await writer.value > start, "the writer did not wait")
            }
        }

        /// A reader that takes its time is not dead.
        @Test func aReaderMayPauseForLongerThanTheDead() async throws {
            try await Site.withPair(.tcp, change: { $0.deadPeerLimit = .seconds(3) }) { pair, _ in
                let filled = try await pair.client.fill()
                let writer = Task { try await pair.client.connection.send([5]) }
                try await Task.sleep(for: .seconds(6))
                #expect(try await pair.server.receive(exactly: filled).count == filled)
                try await writer.value
                #expect(try await pair.server.receive(exactly: 1) == [5])
            }
        }

        @Test(arguments: Medium.allCases) func aDeadlineLosesNothing(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                let start = ContinuousClock.now
                for milliseconds in [-5, 0, 20] {
                    let limit = start.advanced(by: .milliseconds(milliseconds))
                    #expect(
                        await failure { () throws(SMCError) in
                            try await server.connection.receive(atMost: 9, until: limit)
                        } == .timedOut)
                }
                #expect(ContinuousClock.now - start >= .milliseconds(20))
                try await client.connection.send([1, 2, 3])
                #expect(try await server.receive(exactly: 3) == [1, 2, 3])
                // What is there is given, however late it is.
                try await client.connection.send([4])
                try await Task.sleep(for: .milliseconds(20))
                #expect(try await server.connection.receive(atMost: 9, until: start) == [4])
                let filled = try await client.fill()
                let limit = ContinuousClock.now.advanced(by: .milliseconds(20))
                #expect(
                    await failure { () throws(SMCError) in try await client.connection.send([5], until: limit) }
                        == .timedOut)
                #expect(try await server.receive(exactly: filled).allSatisfy { $0 == 1 })
                try await client.connection.send([6])
                #expect(try await server.receive(exactly: 1) == [6], "the byte that was not sent is not there")
            }
        }

        @Test(arguments: Medium.allCases) func cancellingLosesNothing(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                let reader = Task {
                    await failure { () throws(SMCError) in try await server.connection.receive(atMost: 9) }
                }
                try await Task.sleep(for: .milliseconds(30))
                reader.cancel()
                #expect(await reader.value == .cancelled)
                try await client.connection.send([1])
                #expect(try await server.receive(exactly: 1) == [1])
                let filled = try await client.fill()
                let writer = Task { await failure { () throws(SMCError) in try await client.connection.send([5]) } }
                try await Task.sleep(for: .milliseconds(30))
                writer.cancel()
                #expect(await writer.value == .cancelled)
                #expect(try await server.receive(exactly: filled).count == filled)
                try await client.connection.send([6])
                #expect(try await server.receive(exactly: 1) == [6])
            }
        }

        /// Refused also while the first one waits, which is when it happens.
        @Test(arguments: Medium.allCases) func twoTasksInOneDirectionAreRefused(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                let reader = Task { try await server.connection.receive(atMost: 9) }
                try await Task.sleep(for: .milliseconds(30))
                let limit = ContinuousClock.now.advanced(by: .seconds(1))
                #expect(
                    await failure { () throws(SMCError) in try await server.connection.receive(atMost: 9, until: limit)
                    }
                        == .concurrentUse)
                // The other direction is not concerned, and the first reader neither.
                try await server.connection.send([2])
                try await client.connection.send([1])
                #expect(try await reader.value == [1])
                #expect(try await client.receive(exactly: 1) == [2])
                let filled = try await client.fill()
                let writer = Task { try await client.connection.send([5]) }
                try await Task.sleep(for: .milliseconds(30))
                #expect(
                    await failure { () throws(SMCError) in try await client.connection.send([6], until: limit) }
                        == .concurrentUse)
                #expect(throws: TransportError.concurrentUse) {
                    try [UInt8]([7]).withUnsafeBytes { _ = try client.stream.trySend($0) }
                }
                _ = try await server.receive(exactly: filled)
                try await writer.value
                #expect(try await server.receive(exactly: 1) == [5])
            }
        }

        @Test(arguments: Medium.allCases) func closingWakesWhoWaitsHere(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let client = pair.client
                _ = try await client.fill()
                let reader = Task {
                    await failure { () throws(SMCError) in try await client.connection.receive(atMost: 9) }
                }
                let writer = Task { await failure { () throws(SMCError) in try await client.connection.send([5]) } }
                try await Task.sleep(for: .milliseconds(30))
                await client.connection.close()
                #expect(await reader.value == .closed)
                #expect(await writer.value == .closed)
            }
        }

        @Test(arguments: Medium.allCases) func endingASendingWakesWhoSends(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let client = pair.client
                let filled = try await client.fill()
                let writer = Task { await failure { () throws(SMCError) in try await client.connection.send([5]) } }
                try await Task.sleep(for: .milliseconds(30))
                client.connection.finishSending()
                #expect(await writer.value == .closed)
                let drained = await pair.server.drain()
                #expect(drained.count == filled && drained.failure == nil)
            }
        }

        /// The program leaves while its tasks still wait.
        @Test(arguments: Medium.allCases) func leavingEndsWhatIsOpen(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, site in
                let (client, server) = (pair.client, pair.server)
                let here = Task {
                    await failure { () throws(SMCError) in try await client.connection.receive(atMost: 9) }
                }
                let there = Task {
                    await failure { () throws(SMCError) in try await server.connection.receive(atMost: 9) }
                }
                try await Task.sleep(for: .milliseconds(30))
                await site.client.close()
                #expect(await here.value == .closed)
                let code = await there.value
                #expect(code == .aborted || code == .peerGone)
            }
        }
    }
}
