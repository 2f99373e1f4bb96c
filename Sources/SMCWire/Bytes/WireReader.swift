/// Reads big-endian fields one after the other; every read is checked against the end.
///
/// With ``WireWriter`` it is the only code that touches the bytes of messages.
package struct WireReader {
    private let bytes: [UInt8]
    /// How many bytes have been read.
    package private(set) var offset = 0

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// How many bytes are left.
    package var remaining: Int { self.bytes.count - self.offset }

    package mutating func uint8() throws(WireError) -> UInt8 {
        try self.integer(byteCount: 1)
    }

    package mutating func uint16() throws(WireError) -> UInt16 {
        try self.integer(byteCount: 2)
    }

    /// A 16-bit field whose byte order is the sender's choice.
    package mutating func uint16(_ order: ByteOrder) throws(WireError) -> UInt16 {
        let value = try self.uint16()
        return order == .big ? value : value.byteSwapped
    }

    /// A 24-bit field: a queue pair number or a packet sequence number.
    package mutating func uint24() throws(WireError) -> UInt32 {
        try self.integer(byteCount: 3)
    }

    package mutating func uint32() throws(WireError) -> UInt32 {
        try self.integer(byteCount: 4)
    }

    /// A field of five bytes.
    package mutating func uint40() throws(WireError) -> UInt64 {
        try self.integer(byteCount: 5)
    }

    /// A field of six bytes.
    package mutating func uint48() throws(WireError) -> UInt64 {
        try self.integer(byteCount: 6)
    }

    package mutating func uint64() throws(WireError) -> UInt64 {
        try self.integer(byteCount: 8)
    }

    package mutating func uint128() throws(WireError) -> UInt128 {
        try self.integer(byteCount: 16)
    }

    /// The next `count` bytes as they are.
    package mutating func bytes(_ count: Int) throws(WireError) -> [UInt8] {
        try self.require(count)
        defer { self.offset += count }
        return Array(self.bytes[self.offset..<self.offset + count])
    }

    /// Passes over reserved bytes without looking at them.
    package mutating func skip(_ count: Int) throws(WireError) {
        try self.require(count)
        self.offset += count
    }

    /// Refuses bytes after the last field.
    package func expectEnd() throws(WireError) {
        guard self.remaining == 0 else { throw .wrongLength(self.bytes.count, expected: self.offset) }
    }

    private func require(_ count: Int) throws(WireError) {
        guard count <= self.remaining else { throw .truncated(needed: count, available: self.remaining) }
    }

    private mutating func integer<Value: FixedWidthInteger>(byteCount: Int) throws(WireError) -> Value {
        try self.require(byteCount)
        var value: Value = 0
        for index in self.offset..<self.offset + byteCount {
            // The first shift of an 8-bit value would drop all of it, which is right: it is still zero.
            value = (value << 8) | Value(truncatingIfNeeded: self.bytes[index])
        }
        self.offset += byteCount
        return value
    }
}
