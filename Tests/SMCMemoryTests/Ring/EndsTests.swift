import Glibc
import SMCMemory
import SMCSystem
import SMCTesting
import Testing

/// The sending and the receiving end of one direction, alone and against each other.
@Suite(.timeLimit(.minutes(2))) struct EndsTests {
    private static let ring = 16_384

    /// Both ends, and the elements that they use, as two processes would have them.
    final class Direction {
        let data: [BufferElement]
        let back: [BufferElement]
        let sender: ElementSender
        let receiver: ElementReceiver

        init(ringByteCount: Int = EndsTests.ring) throws {
            let dataFile = try TestElement.file(ringByteCount: ringByteCount)
            let backFile = try TestElement.file(ringByteCount: ringByteCount)
            self.data = try (0..<2).map { _ in try TestElement.element(dataFile, ringByteCount) }
            self.back = try (0..<2).map { _ in try TestElement.element(backFile, ringByteCount) }
            self.sender = ElementSender(
                own: self.back[0], outgoing: self.data[0], storeByteCount: 65_536, stopBits: 0x60)
            self.receiver = ElementReceiver(own: self.data[1], outgoing: self.back[1], storeByteCount: 65_536)
        }

        deinit {
            self.sender.deallocate()
            self.receiver.deallocate()
        }

        func send(_ bytes: [UInt8]) -> Int { bytes.withUnsafeBytes { self.sender.send($0).count } }

        /// What waits, up to `count` bytes; tells the writer as transports do.
        func receive(_ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            let outcome = bytes.withUnsafeMutableBytes { self.receiver.receive(into: $0) }
            guard outcome.count >= 0 else { return nil }
            if outcome.mustTell { _ = self.receiver.publish() }
            return Array(bytes.prefix(outcome.count))
        }
    }

    private static func bytes(_ count: Int, at position: Int) -> [UInt8] {
        (position..<(position + count)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    /// Every size around what fits into the line of the producer word, read as a whole and in parts.
    @Test func everySmallSizeArrives() throws {
        let direction = try Direction()
        var position = 0
        for count in 1...100 {
            for part in [count, 1, 7, 48, 100] {
                let bytes = Self.bytes(count, at: position)
                #expect(direction.send(bytes) == count)
                var read: [UInt8] = []
                while read.count < count {
                    let more = try #require(direction.receive(part))
                    guard !more.isEmpty else { break }
                    read += more
                }
                if read != bytes { Issue.record("\(count) bytes in parts of \(part)") }
                position += count
            }
        }
    }

    /// Any mixture of sizes, published and read at any time, in every way to read, against an array.
    @Test(arguments: 0..<8) func anyMixtureFollowsTheModel(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let direction = try Direction()
        var (sent, received) = (0, 0)
        for _ in 0..<600 {
            let most = [8, 48, 60, 1000, 5000].randomElement(using: &random) ?? 8
            if Bool.random(using: &random) {
                let count = direction.send(Self.bytes(Int.random(in: 1...most, using: &random), at: sent))
                guard count >= 0 else {
                    Issue.record("refused at \(sent), seed \(seed)")
                    return
                }
                sent += count
            } else if Bool.random(using: &random) {
                let bytes = direction.receive(Int.random(in: 1...most, using: &random)) ?? [0]
                guard bytes == Self.bytes(bytes.count, at: received), received + bytes.count <= sent else {
                    Issue.record("\(bytes.count) wrong bytes at \(received), seed \(seed)")
                    return
                }
                received += bytes.count
            } else {
                let (view, _) = direction.receiver.peek(atLeast: Int.random(in: 1...most, using: &random))
                guard let view else { continue }
                guard Array(view) == Self.bytes(view.count, at: received), received + view.count <= sent else {
                    Issue.record("\(view.count) wrong bytes seen at \(received), seed \(seed)")
                    return
                }
                let count = Int.random(in: 0...view.count, using: &random)
                if direction.receiver.advance(count) { _ = direction.receiver.publish() }
                received += count
            }
        }
        #expect(sent > 20_000 && received > 20_000, "seed \(seed)")
    }

    /// The consumer cursor is told in quarters of the ring, and no message is spent on less.
    @Test func readingIsToldInQuarters() throws {
        let direction = try Direction()
        for step in 0..<40 {
            #expect(direction.send(Self.bytes(1024, at: step * 1024)) == 1024)
            #expect(direction.receive(1024)?.count == 1024)
            let told = (step + 1) * 1024 / (Self.ring / 4) * (Self.ring / 4)
            #expect(direction.back[0].consumer == UInt64(told))
        }
    }

    /// While it knows of room, the sender does not look; a lie is found when it does.
    @Test func liesAreFoundWhenTheyAreReadAndHarmNothing() throws {
        for lie in [UInt64.max >> 3, 20_001, UInt64(1) << 40] {
            let direction = try Direction()
            #expect(direction.send(Self.bytes(4096, at: 0)) == 4096)
            _ = direction.back[1].publishConsumer(lie)
            #expect(direction.send(Self.bytes(4096, at: 0)) == 4096)
            #expect(direction.send(Self.bytes(4096, at: 0)) == 4096)
            #expect(direction.send(Self.bytes(4096, at: 0)) == 4096)
            #expect(direction.send([1]) == ElementSender.violation)
            _ = direction.data[0].publishProducer(lie)
            #expect(direction.receive(10) == nil)
        }
    }

    /// A peer that changes the tail at any time changes bytes of its own stream, and nothing else.
    @Test(arguments: 0..<10) func aScribbledTailHarmsNothing(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let file = try TestElement.file(ringByteCount: Self.ring)
        let raw = try Mapping(file)
        let own = try TestElement.element(file, Self.ring)
        let back = BufferElement(sharedMemory: try TestElement.map(ringByteCount: Self.ring), ringByteCount: Self.ring)
        let receiver = ElementReceiver(own: own, outgoing: back, storeByteCount: 65_536)
        defer { receiver.deallocate() }
        var received: UInt64 = 0
        for _ in 0..<500 {
            let line = (0..<64).map { _ in UInt8.random(in: 0...3, using: &random) }
            raw.write(line, at: BufferElementLayout.producerWordOffset)
            raw.write(
                withUnsafeBytes(of: received &+ UInt64.random(in: 0...2, using: &random)) { Array($0) },
                at: BufferElementLayout.tailTagOffset)
            let count = UInt64.random(in: 0...60, using: &random)
            _ = own.publishProducer(received &+ count)
            var bytes = [UInt8](repeating: 0xee, count: 64)
            let size = Int.random(in: 1...32, using: &random)
            let outcome = bytes.withUnsafeMutableBytes {
                receiver.receive(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<size]))
            }
            #expect(outcome.count >= 0 && outcome.count <= min(size, Int(count)), "seed \(seed)")
            #expect(bytes[size...].allSatisfy { $0 == 0xee }, "beyond the buffer, seed \(seed)")
            received &+= UInt64(outcome.count)
            // What is left over is skipped, so that the next round begins with an empty ring.
            _ = receiver.advance(Int(count) - outcome.count)
            received &+= count - UInt64(outcome.count)
        }
    }

    /// Two in one direction: one of them is refused.
    @Test func theSecondUserIsRefused() throws {
        let direction = try Direction()
        #expect(direction.sender.begin())
        #expect(!direction.sender.begin())
        #expect(
            [UInt8](repeating: 1, count: 3).withUnsafeBytes { direction.sender.sendAtOnce($0).count }
                == ElementSender.inUse)
        direction.sender.end()
        #expect([UInt8](repeating: 1, count: 3).withUnsafeBytes { direction.sender.sendAtOnce($0).count } == 3)
        #expect(direction.sender.begin(), "what was done at once has ended")
        #expect(direction.receiver.begin())
        var bytes = [UInt8](repeating: 0, count: 3)
        #expect(
            bytes.withUnsafeMutableBytes { direction.receiver.receiveAtOnce(into: $0, looks: 0).count }
                == ElementReceiver.inUse)
    }

    // MARK: The wake position

    @Test func whoWaitsForMoreSleepsOn() throws {
        let direction = try Direction()
        let (own, peer) = (direction.data[1], direction.data[0])
        own.setWakePosition(100)
        #expect(own.armProducer(.thread, ifStill: 0))
        let first = peer.publishProducer(60)
        #expect(first == .thread)
        #expect(peer.keepAsleep(first, at: 60).isEmpty, "60 are not 100")
        let second = peer.publishProducer(99)
        #expect(peer.keepAsleep(second, at: 99).isEmpty)
        let third = peer.publishProducer(100)
        #expect(third == .thread, "still asleep")
        #expect(peer.keepAsleep(third, at: 100) == .thread, "now it is time")
        #expect(peer.publishProducer(200).isEmpty, "it was told")
        // A position that cannot be keeps nobody asleep.
        for position in [UInt64.max, 199, 200 + UInt64(Self.ring) * 2] {
            own.setWakePosition(position)
            #expect(own.armProducer(.signal, ifStill: 200))
            let sleepers = peer.publishProducer(200)
            #expect(peer.keepAsleep(sleepers, at: 200) == .signal)
        }
    }

    /// Something else than a cursor changes while a thread sleeps, also while the peer lets it sleep on.
    @Test func rousingEndsAnySleep() throws {
        let direction = try Direction()
        let (own, peer) = (direction.data[1], direction.data[0])
        let worker = Worker(name: "sleeper")
        let isOver = Semaphore()
        own.setWakePosition(1000)
        #expect(own.armProducer(.thread, ifStill: 0))
        // Without limit: who is not roused never comes back, and neither does this test.
        worker.enqueue {
            own.sleepOnProducer(0, timeout: nil)
            isOver.post()
        }
        usleep(50_000)
        let sleepers = peer.publishProducer(10)
        _ = peer.keepAsleep(sleepers, at: 10)
        own.rouse()
        isOver.wait()
        #expect(own.producer == 10)
    }
}
