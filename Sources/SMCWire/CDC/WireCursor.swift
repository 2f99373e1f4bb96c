/// A place in a ring as it crosses the wire: an offset, and how often the ring has been gone round (PROTOCOL 4.1).
///
/// Inside, positions are counts of bytes since the connection began; they only grow. Both forms describe the same place:
/// position = wraps * size + offset, of which the wire keeps the low 16 bits of the wraps.
package struct WireCursor: Hashable, Sendable {
    package var wrap: UInt16
    package var offset: UInt32

    package static let zero = WireCursor(wrap: 0, offset: 0)

    package init(wrap: UInt16, offset: UInt32) {
        self.wrap = wrap
        self.offset = offset
    }

    /// - Parameters:
    ///   - position: bytes since the connection began.
    ///   - elementSize: bytes of the ring, from 1 to 2^32.
    package init(position: UInt64, elementSize: Int) {
        Self.check(elementSize)
        let (wraps, offset) = position.quotientAndRemainder(dividingBy: UInt64(elementSize))
        self.wrap = UInt16(truncatingIfNeeded: wraps)
        self.offset = UInt32(offset)
    }

    /// The position this cursor, just received, stands for, given the last one that was accepted.
    ///
    /// - Parameters:
    ///   - previous: bytes since the connection began.
    ///   - elementSize: bytes of the ring, from 1 to 2^32.
    /// - Returns: a position from `previous` to `previous + elementSize`, or nil if the cursor is older than `previous`:
    ///   keep `previous` then, for such messages are normal after a failover.
    /// - Throws: when the offset is outside of the ring, when the cursor moves further than the ring is long, or when
    ///   it lies before the beginning of the connection.
    package func position(after previous: UInt64, elementSize: Int) throws(WireError) -> UInt64? {
        Self.check(elementSize)
        guard Int(self.offset) < elementSize else {
            throw .badValue(field: "cursor offset", value: UInt64(self.offset))
        }
        let (previousWraps, previousOffset) = previous.quotientAndRemainder(dividingBy: UInt64(elementSize))
        // Of all counts with these 16 low bits, the nearest one is meant. The product stays below 2^48.
        let wraps = Int64(Int16(bitPattern: self.wrap &- UInt16(truncatingIfNeeded: previousWraps)))
        let move = wraps * Int64(elementSize) + Int64(self.offset) - Int64(previousOffset)
        if move < 0 {
            guard move.magnitude <= previous else { throw .badValue(field: "cursor wraps", value: UInt64(self.wrap)) }
            return nil
        }
        let (position, overflow) = previous.addingReportingOverflow(move.magnitude)
        guard move <= elementSize, !overflow else {
            throw .cursorTooFar(byteCount: move.magnitude, elementSize: elementSize)
        }
        return position
    }

    private static func check(_ elementSize: Int) {
        precondition(elementSize > 0 && elementSize <= 1 << 32, "no ring has \(elementSize) bytes")
    }
}
