import SMCMemory
import SMCTesting
import Testing

/// What a hostile cursor can do: nothing.
struct CursorBoundsTests {
    private static let ring = 16_384

    @Test func readable() {
        func count(_ producer: UInt64, _ consumed: UInt64) -> Int? {
            CursorBounds.readable(producer: producer, consumed: consumed, ringByteCount: Self.ring)
        }
        #expect(count(0, 0) == 0)
        #expect(count(1, 0) == 1)
        #expect(count(16_384, 0) == 16_384)
        #expect(count(16_385, 0) == nil)
        #expect(count(0, 1) == nil, "a cursor that went back")
        #expect(count(.max, 0) == nil)
        #expect(count(.max >> 1, 0) == nil)
        #expect(count(5, .max - 4) == 10, "counts may wrap")
        #expect(count(.max, .max) == 0)
    }

    @Test func writable() {
        func room(_ consumer: UInt64, _ produced: UInt64) -> Int? {
            CursorBounds.writable(consumer: consumer, produced: produced, ringByteCount: Self.ring)
        }
        #expect(room(0, 0) == 16_384)
        #expect(room(0, 1) == 16_383)
        #expect(room(0, 16_384) == 0)
        #expect(room(0, 16_385) == nil)
        #expect(room(1, 0) == nil, "more read than written")
        #expect(room(.max, 5) == 16_378)
        #expect(room(6, .max - 4) == nil)
    }

    /// Any two words: the answer lies in the ring or there is none.
    @Test(arguments: 0..<20) func anyWordsAreSafe(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<1000 {
            let near = UInt64.random(in: 0...40_000, using: &random)
            let ours = UInt64.random(in: 0...(.max), using: &random)
            for theirs in [UInt64.random(in: 0...(.max), using: &random), ours &+ near, ours &- near] {
                let readable = CursorBounds.readable(producer: theirs, consumed: ours, ringByteCount: Self.ring)
                let writable = CursorBounds.writable(consumer: theirs, produced: ours, ringByteCount: Self.ring)
                let isAhead = theirs &- ours <= 16_384
                let isBehind = ours &- theirs <= 16_384
                if readable != (isAhead ? Int(theirs &- ours) : nil)
                    || writable != (isBehind ? 16_384 - Int(ours &- theirs) : nil)
                {
                    Issue.record(
                        "\(theirs), \(ours): \(String(describing: readable)), \(String(describing: writable)), seed \(seed)"
                    )
                    return
                }
            }
        }
        #expect(CursorBounds.readable(producer: 0, consumed: 0, ringByteCount: Self.ring) == 0)
    }
}
