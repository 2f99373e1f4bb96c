import SMCSystem
import SMCTransport
import Testing

@testable import SMC

extension OneAtATime {
    /// Half-close, close, abort and death, over every medium.
    @Suite(.timeLimit(.minutes(1))) struct EndingTests {
        @Test(arguments: Medium.allCases) func oneDirectionMayEndFirst(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                try await client.connection.send([1, 2])
                client.connection.finishSending()
                client.connection.finishSending()
                #expect(try await server.receive(exactly: 2) == [1, 2])
                #expect(try await server.connection.receive(atMost: 9) == nil)
                #expect(try await server.connection.receive(atMost: 9) == nil, "the end stays the end")
                #expect(await failure { () throws(SMCError) in try await client.connection.send([3]) } == .closed)
                try await server.connection.send([4, 5])
                #expect(try await client.receive(exactly: 2) == [4, 5])
                await server.connection.close()
                #expect(try await client.connection.receive(atMost: 9) == nil)
                await client.connection.close()
            }
        }

        @Test(arguments: Medium.allCases) func whatWasSentArrivesAfterClose(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                try await client.connection.send([UInt8](repeating: 3, count: 50_000))
                await client.connection.close()
                let drained = await server.drain()
                #expect(drained.count == 50_000 && drained.failure == nil)
                for use in [client.connection] {
                    #expect(await failure { () throws(SMCError) in try await use.send([1]) } == .closed)
                    #expect(await failure { () throws(SMCError) in try await use.receive(atMost: 1) } == .closed)
                }
                await client.connection.close()
                client.connection.abort()
                await server.connection.close()
            }
        }

        /// Nobody reads any more: the writer must learn it, also when it waits, and though the other end's object lives on.
        @Test(arguments: Medium.allCases) func aWriterLearnsThatThePeerHasClosed(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                let writer = Task {
                    await failure { () throws(SMCError) in
                        try await server.connection.send(
                            [UInt8](repeating: 1, count: 64 << 20), until: .now.advanced(by: .seconds(10)))
                    }
                }
                try await Task.sleep(for: .milliseconds(100))
                await client.connection.close()
                let code = await writer.value
                #expect(code != nil && code != .timedOut)
                #expect([.closedByPeer, .aborted, .peerGone].contains(code))
                withExtendedLifetime(client.connection) {}
            }
        }

        /// As with TCP: who closes over unread bytes tells the sender that they were not taken.
        @Test(arguments: Medium.allCases) func closingOverUnreadBytesIsAnError(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                try await client.connection.send([1, 2, 3])
                _ = try await server.receive(exactly: 1)
                await server.connection.close()
                let drained = await client.drain()
                #expect(drained.failure == .aborted || drained.failure == .peerGone, "\(drained)")
            }
        }

        @Test(arguments: Medium.allCases, [true, false]) func anAbortIsAnErrorAtThePeer(medium: Medium, isWaiting: Bool)
            async throws
        {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                try await client.connection.send([1, 2, 3])
                let reader = Task { isWaiting ? await server.drain() : nil }
                let writer = Task {
                    guard isWaiting else { return nil as SMCError.Code? }
                    return await failure { () throws(SMCError) in
                        try await server.connection.send([UInt8](repeating: 1, count: 64 << 20))
                    }
                }
                try await Task.sleep(for: .milliseconds(50))
                client.connection.abort()
                var drained = await reader.value
                if !isWaiting { drained = await server.drain() }
                let code = drained?.failure
                #expect(code == .aborted || code == .peerGone, "\(String(describing: drained))")
                if isWaiting {
                    let code = await writer.value
                    #expect([.aborted, .peerGone, .closedByPeer].contains(code), "\(String(describing: code))")
                }
                #expect(await failure { () throws(SMCError) in try await client.connection.send([1]) } == .closed)
                #expect(
                    await failure { () throws(SMCError) in try await client.connection.receive(atMost: 1) } == .closed)
            }
        }

        /// A connection that is forgotten is aborted.
        @Test(arguments: Medium.allCases, [true, false]) func droppingIsNoOrderlyEnd(
            medium: Medium, isAfterLeaving: Bool
        )
            async throws
        {
            let site = try Site(medium)
            var pair: Pair? = try await site.connect()
            let server = try #require(pair?.server)
            try await pair?.client.connection.send([1, 2, 3])
            if isAfterLeaving { await site.client.close() }
            pair = nil
            let drained = await server.drain()
            #expect(drained.failure == .aborted || drained.failure == .peerGone, "\(drained)")
            if medium == .sharedMemory { #expect(drained.count == 3, "what was published is read first") }
            await site.close()
        }

        /// The peer's process dies: its TCP connection ends, and it says nothing.
        @Test func deathIsNoticedAfterTheLastByte() async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                let (client, server) = (pair.client, pair.server)
                try await server.connection.send([UInt8](repeating: 8, count: 40_000))
                pair.serverSocket.shutdownBoth()
                try await Task.sleep(for: .milliseconds(50))
                let drained = await client.drain()
                #expect(drained.count == 40_000)
                #expect(drained.failure == .peerGone)
                #expect(await failure { () throws(SMCError) in try await client.connection.send([1]) } == .peerGone)
            }
        }

        @Test func deathWakesWhoWaits() async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                let client = pair.client
                _ = try await client.fill()
                let reader = Task {
                    await failure { () throws(SMCError) in try await client.connection.receive(atMost: 9) }
                }
                let writer = Task { await failure { () throws(SMCError) in try await client.connection.send([5]) } }
                try await Task.sleep(for: .milliseconds(30))
                pair.serverSocket.shutdownBoth()
                #expect(await reader.value == .peerGone)
                #expect(await writer.value == .peerGone)
            }
        }
    }
}
