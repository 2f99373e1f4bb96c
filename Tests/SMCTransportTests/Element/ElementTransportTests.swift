import SMCTransport
import Testing

@testable import SMC

extension OneAtATime {
    /// The moments between "there is nothing" and "so I sleep", one by one.
    @Suite(.timeLimit(.minutes(1))) struct ElementTransportTests {
        private static func withTransports(
            _ body: (ElementTransport, ElementTransport, Pair) async throws -> Void
        ) async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                try await body(try #require(pair.client.element), try #require(pair.server.element), pair)
            }
        }

        private static func tryReceive(_ transport: ElementTransport) throws(TransportError) -> ReceiveResult {
            var result: Result<ReceiveResult, TransportError> = .success(.wouldBlock)
            var bytes = [UInt8](repeating: 0, count: 10)
            bytes.withUnsafeMutableBytes { buffer in
                do throws(TransportError) {
                    result = .success(try transport.tryReceive(into: buffer))
                } catch {
                    result = .failure(error)
                }
            }
            return try result.get()
        }

        @Test func closingBeforeSleepingIsSeen() async throws {
            try await Self.withTransports { transport, _, pair in
                _ = try await pair.client.fill()
                #expect(try Self.tryReceive(transport) == .wouldBlock)
                transport.close()
                // Whoever looked before must not sleep now: the wake-up of the close is over.
                #expect(try transport.prepareToReceive() == nil)
                #expect(try transport.prepareToSend() == nil)
                #expect(throws: TransportError.closedHere) { try Self.tryReceive(transport) }
            }
        }

        @Test func endingTheSendingBeforeSleepingIsSeen() async throws {
            try await Self.withTransports { transport, _, pair in
                _ = try await pair.client.fill()
                let ticket = try #require(try transport.prepareToSend())
                transport.finishSending()
                #expect(transport.writePoint.block(since: ticket, until: .now.advanced(by: .seconds(5))))
                #expect(try transport.prepareToSend() == nil)
            }
        }

        @Test func whatComesBeforeSleepingIsSeen() async throws {
            try await Self.withTransports { transport, peer, pair in
                #expect(try Self.tryReceive(transport) == .wouldBlock)
                try await pair.server.connection.send([1])
                #expect(try transport.prepareToReceive() == nil, "bytes came")
                #expect(try Self.tryReceive(transport) == .bytes(1))
                let ticket = try #require(try transport.prepareToReceive())
                try await pair.server.connection.send([2])
                #expect(
                    transport.readPoint.block(since: ticket, until: .now.advanced(by: .seconds(5))), "no signal came")
                #expect(try Self.tryReceive(transport) == .bytes(1))
                peer.finishSending()
                #expect(try transport.prepareToReceive() == nil, "the end came")
                #expect(try Self.tryReceive(transport) == .end)
            }
        }

        @Test func roomThatComesBeforeSleepingIsSeen() async throws {
            try await Self.withTransports { transport, peer, pair in
                // Told in quarters of the ring: a writer that waits for any room gets enough to be worth waking for.
                let quarter = Site.ringByteCount / 4
                _ = try await pair.client.fill()
                _ = try await pair.server.receive(exactly: quarter)
                #expect(try transport.prepareToSend() == nil, "there is room")
                _ = try await pair.client.fill()
                let ticket = try #require(try transport.prepareToSend())
                _ = try await pair.server.receive(exactly: quarter - 1)
                #expect(transport.writePoint.ticket() == ticket, "not worth waking for")
                _ = try await pair.server.receive(exactly: 1)
                #expect(
                    transport.writePoint.block(since: ticket, until: .now.advanced(by: .seconds(5))), "no signal came")
                _ = try await pair.client.fill()
                peer.close()
                #expect(try transport.prepareToSend() == nil, "nobody reads any more")
            }
        }
    }
}
