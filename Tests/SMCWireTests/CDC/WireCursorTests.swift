import SMCTesting
import SMCWire
import Testing

struct WireCursorTests {
    @Test func examples() throws {
        #expect(WireCursor(position: 0, elementSize: 16) == .zero)
        #expect(WireCursor(position: 16, elementSize: 16) == WireCursor(wrap: 1, offset: 0))
        #expect(WireCursor(position: 65536 * 16 + 3, elementSize: 16) == WireCursor(wrap: 0, offset: 3))
        #expect(try WireCursor(wrap: 0, offset: 3).position(after: 65536 * 16 - 1, elementSize: 16) == 65536 * 16 + 3)
    }

    /// All positions of a small ring, over the place where the 16-bit count wraps.
    @Test(arguments: [1, 2, 3, 8]) func everyMoveOfASmallRing(size: Int) throws {
        let start = UInt64(65534 * size)
        for previous in start..<start + UInt64(4 * size) {
            for position in start..<start + UInt64(8 * size) {
                let cursor = WireCursor(position: position, elementSize: size)
                if position < previous {
                    #expect(try cursor.position(after: previous, elementSize: size) == nil)
                } else if position - previous <= UInt64(size) {
                    #expect(try cursor.position(after: previous, elementSize: size) == position)
                } else {
                    #expect(
                        throws: WireError.cursorTooFar(byteCount: position - previous, elementSize: size)
                    ) { try cursor.position(after: previous, elementSize: size) }
                }
            }
        }
    }

    @Test(arguments: [UInt64.random(in: 0 ... .max), 2]) func longWayIsFollowed(seed: UInt64) throws {
        print("WireCursorTests.longWayIsFollowed: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for size in [1, 7, 16384, 65536, 1 << 29, 1 << 32] {
            var position: UInt64 = 0
            for _ in 0..<100_000 {
                let next = position + UInt64.random(in: 0...UInt64(size), using: &random)
                let cursor = WireCursor(position: next, elementSize: size)
                let found = try cursor.position(after: position, elementSize: size)
                if found != next {
                    Issue.record("size \(size): \(next) after \(position) became \(String(describing: found))")
                }
                let behind = UInt64.random(in: 0...min(position, UInt64(size) * 1000), using: &random)
                let old = WireCursor(position: position - behind, elementSize: size)
                let stale = try old.position(after: next, elementSize: size)
                if stale != nil && stale != next { Issue.record("size \(size): a stale cursor was taken") }
                position = next
            }
        }
    }

    @Test func nothingTrapsAtTheEdges() {
        let edges: [UInt64] = [0, 1, 65535, 65536, 1 << 32, .max - 1, .max]
        for size in [1, 2, 65536, 1 << 32] {
            for previous in edges {
                for wrap in [0, 1, 32767, 32768, 65535] as [UInt16] {
                    for offset in [0, 1, 65535, 65536, .max] as [UInt32] {
                        let found = try? WireCursor(wrap: wrap, offset: offset)
                            .position(after: previous, elementSize: size)
                        if let found { #expect(found >= previous && found - previous <= UInt64(size)) }
                    }
                }
            }
        }
    }

    @Test func offsetOutsideIsRefused() {
        #expect(throws: WireError.badValue(field: "cursor offset", value: 16)) {
            try WireCursor(wrap: 0, offset: 16).position(after: 0, elementSize: 16)
        }
    }

    @Test func placeBeforeTheBeginningIsRefused() {
        #expect(throws: WireError.badValue(field: "cursor wraps", value: 65535)) {
            try WireCursor(wrap: 65535, offset: 0).position(after: 5, elementSize: 16)
        }
    }
}
