import SMCMemory
import SMCProtocol
import SMCSystem
import SMCTesting
import SMCTransport
import Synchronization
import Testing

@testable import SMC

/// An atomic that tasks share.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { self.value.load(ordering: .acquiring) }
    func set() { self.value.store(true, ordering: .releasing) }
}

extension OneAtATime {
    /// A peer that holds the mapping may write anything at any time. Only its own connection suffers.
    @Suite(.timeLimit(.minutes(1))) struct HostilePeerTests {
        @Test(arguments: 0..<12) func scribblingHarmsNobodyElse(seed: Int) async throws {
            let site = try Site(.sharedMemory)
            let victim = try await site.connect()
            let bystander = try await site.connect()
            let own = try #require(victim.client.element?.own)
            let isDone = Flag()
            await withTaskGroup(of: Void.self) { group in
                for end in [victim.client, victim.server] {
                    group.addTask { await Self.sendUntilItFails(end) }
                    group.addTask { await Self.receiveUntilItFails(end) }
                }
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(seed))
                    for _ in 0..<400 {
                        Self.scribble(own, &random)
                        if Int.random(in: 0..<8, using: &random) == 0 { await Task.yield() }
                    }
                }
                group.addTask {
                    do {
                        for number in 0..<100 as Range<UInt8> {
                            try await bystander.client.connection.send([number])
                            #expect(try await bystander.server.receive(exactly: 1) == [number], "seed \(seed)")
                        }
                    } catch {
                        Issue.record("the bystander failed: \(error), seed \(seed)")
                    }
                    isDone.set()
                }
            }
            let isBystanderWell = isDone.isSet
            #expect(isBystanderWell, "seed \(seed)")
            victim.client.connection.abort()
            victim.server.connection.abort()
            await bystander.client.connection.close()
            await bystander.server.connection.close()
            let isBack = try await eventually { try site.books().smbs.isEmpty }
            let left = try site.books().smbs
            #expect(isBack, "SMBs are left: \(left), seed \(seed)")
            await site.close()
        }

        /// What a peer with the mapping can store: the victim's own words, which it is the writer of.
        private static func scribble(_ element: BufferElement, _ random: inout SeededGenerator) {
            let cursor: UInt64 =
                switch Int.random(in: 0..<4, using: &random) {
                case 0: random.next()
                case 1: element.producer &+ UInt64.random(in: 0...200_000, using: &random)
                case 2: element.consumer &- UInt64.random(in: 0...200_000, using: &random)
                default: UInt64.random(in: 0...70_000, using: &random)
                }
            switch Int.random(in: 0..<20, using: &random) {
            case 0: element.publishState(UInt32(truncatingIfNeeded: random.next()))
            case 1...8: _ = element.publishProducer(cursor)
            case 9...16: _ = element.publishConsumer(cursor)
            case 17: _ = element.armProducer(ifStill: element.producer)
            case 18: _ = element.armConsumer(ifStill: element.consumer)
            default: element.writeHeader(challenge: .random())
            }
        }

        private static func sendUntilItFails(_ end: End) async {
            let bytes = [UInt8](repeating: 1, count: 5000)
            for _ in 0..<200 {
                let limit = ContinuousClock.now.advanced(by: .milliseconds(200))
                let code = await failure { () throws(SMCError) in try await end.connection.send(bytes, until: limit) }
                if code != nil { return }
            }
        }

        private static func receiveUntilItFails(_ end: End) async {
            for _ in 0..<400 {
                let limit = ContinuousClock.now.advanced(by: .milliseconds(200))
                let code = await failure { () throws(SMCError) in
                    guard try await end.connection.receive(atMost: 9000, until: limit) != nil else {
                        throw SMCError(.closedByPeer, "the end")
                    }
                }
                if code != nil { return }
            }
        }

        @Test func aProducerOutsideOfTheRingIsAViolation() async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                let own = try #require(pair.client.element?.own)
                _ = own.publishProducer(UInt64(Site.ringByteCount) + 1)
                #expect(
                    await failure { () throws(SMCError) in try await pair.client.connection.receive(atMost: 1) }
                        == .protocolViolation)
                // Both directions are over, and the peer hears of it.
                #expect(
                    await failure { () throws(SMCError) in try await pair.client.connection.send([1]) }
                        == .protocolViolation)
                #expect(await pair.server.drain().failure == .aborted)
            }
        }

        @Test func aConsumerAheadOfUsIsAViolation() async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                let own = try #require(pair.client.element?.own)
                // A sender that knows of room does not look.
                let filled = try await pair.client.fill()
                let reader = Task {
                    await failure { () throws(SMCError) in try await pair.client.connection.receive(atMost: 1) }
                }
                try await Task.sleep(for: .milliseconds(20))
                _ = own.publishConsumer(UInt64(filled) + 1)
                #expect(
                    await failure { () throws(SMCError) in try await pair.client.connection.send([1]) }
                        == .protocolViolation)
                #expect(await reader.value == .protocolViolation, "who waits learns the reason")
            }
        }
    }
}
