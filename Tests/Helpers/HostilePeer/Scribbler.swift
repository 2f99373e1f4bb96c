import Glibc
import SMCMemory
import SMCSystem
import SMCTesting

/// Random words over every byte that a peer may write.
enum Scribbler {
    /// - Parameter duration: how long, at most; the victim may end the connection before.
    static func run(_ victim: Victim, _ seed: UInt64, _ duration: Duration) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20 {
            try victim.echo((0..<UInt8.random(in: 1...200, using: &random)).map { $0 &* 7 })
        }
        say("streams")
        let arrays = [try Mapping(victim.pair.incomingArray), try Mapping(victim.pair.outgoingArray)]
        let deadline = ContinuousClock.now.advanced(by: duration)
        // Half of the seeds keep to the words that mean something, so that the victim comes further before it gives up.
        let isSubtle = seed % 2 == 0
        while ContinuousClock.now < deadline {
            for _ in 0..<64 {
                if isSubtle {
                    self.nudge(victim.theirs, &random)
                } else {
                    self.scribble(victim.theirs, &random)
                    self.scribble(victim.ours, &random)
                }
                for array in arrays { self.scribble(array, &random) }
                victim.pair.outgoingEvent.signal()
            }
            // What the victim does with it must not need our being there.
            if Bool.random(using: &random) { usleep(200) }
        }
    }

    private static func store(_ word: UInt64, _ mapping: Mapping, at offset: Int) {
        mapping.baseAddress.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
    }

    /// One word anywhere; control words as often as the ring, which is larger.
    private static func scribble(_ mapping: Mapping, _ random: inout SeededGenerator) {
        let limit = Bool.random(using: &random) ? min(mapping.byteCount, 512) : mapping.byteCount
        let offset = Int.random(in: 0..<limit / 8, using: &random) * 8
        self.store(self.word(&random), mapping, at: offset)
    }

    private static func word(_ random: inout SeededGenerator) -> UInt64 {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: random.next()
        case 1: UInt64.random(in: 0...1_000_000, using: &random)
        case 2: .max &- UInt64.random(in: 0...1_000_000, using: &random)
        default: 1 << UInt64.random(in: 0..<64, using: &random)
        }
    }

    /// Cursors that are nearly right: one ring further, a little back, with and without the asleep bit.
    private static func nudge(_ mapping: Mapping, _ random: inout SeededGenerator) {
        let offsets = [BufferElementLayout.producerWordOffset, BufferElementLayout.consumerWordOffset]
        let offset = offsets.randomElement(using: &random)!
        let now = mapping.baseAddress.load(fromByteOffset: offset, as: UInt64.self)
        let ring = UInt64(mapping.byteCount - BufferElementLayout.controlByteCount)
        let steps: [UInt64] = [0, 1, 2, 3, ring, ring &* 2, ring &* 2 &+ 1, 0 &- ring, 0 &- 2]
        self.store(now &+ steps.randomElement(using: &random)!, mapping, at: offset)
        if Int.random(in: 0..<10_000, using: &random) == 0 {
            self.store(1 << UInt64.random(in: 0..<32, using: &random), mapping, at: BufferElementLayout.stateWordOffset)
        }
    }
}
