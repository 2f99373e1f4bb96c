/// Appends big-endian fields one after the other.
///
/// Values that do not fit their field are our own mistakes and trap.
package struct WireWriter {
    /// What has been written.
    package private(set) var bytes: [UInt8] = []

    package init(reserving byteCount: Int = 0) {
        self.bytes.reserveCapacity(byteCount)
    }

    package mutating func uint8(_ value: UInt8) {
        self.bytes.append(value)
    }

    package mutating func uint16(_ value: UInt16) {
        self.integer(value, byteCount: 2)
    }

    /// A 16-bit field in the byte order that the receiver is known to expect.
    package mutating func uint16(_ value: UInt16, _ order: ByteOrder) {
        self.uint16(order == .big ? value : value.byteSwapped)
    }

    /// A 24-bit field: a queue pair number or a packet sequence number.
    package mutating func uint24(_ value: UInt32) {
        precondition(value < 1 << 24, "a 24-bit field cannot hold \(value)")
        self.integer(value, byteCount: 3)
    }

    package mutating func uint32(_ value: UInt32) {
        self.integer(value, byteCount: 4)
    }

    /// A field of five bytes.
    package mutating func uint40(_ value: UInt64) {
        precondition(value < 1 << 40, "a 40-bit field cannot hold \(value)")
        self.integer(value, byteCount: 5)
    }

    /// A field of six bytes.
    package mutating func uint48(_ value: UInt64) {
        precondition(value < 1 << 48, "a 48-bit field cannot hold \(value)")
        self.integer(value, byteCount: 6)
    }

    package mutating func uint64(_ value: UInt64) {
        self.integer(value, byteCount: 8)
    }

    package mutating func uint128(_ value: UInt128) {
        self.integer(value, byteCount: 16)
    }

    package mutating func bytes(_ bytes: [UInt8]) {
        self.bytes += bytes
    }

    /// Reserved bytes, which are sent as zero.
    package mutating func zeros(_ count: Int) {
        self.bytes += repeatElement(0, count: count)
    }

    /// Fills up with zeros until `byteCount` bytes are written.
    package mutating func zeros(upTo byteCount: Int) {
        self.zeros(byteCount - self.bytes.count)
    }

    private mutating func integer(_ value: some FixedWidthInteger, byteCount: Int) {
        for index in (0..<byteCount).reversed() {
            self.bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8)))
        }
    }
}
