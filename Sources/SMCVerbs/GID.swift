/// A RoCE address: 128 bits, for RoCE v2 an IPv6 address or an IPv4 address written as one.
package struct GID: Hashable, Sendable {
    /// The first and the last eight bytes, as numbers in network order.
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// From sixteen bytes as they travel; nil for any other count.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        self.low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The sixteen bytes as they travel.
    package var bytes: [UInt8] {
        [self.high, self.low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// Whether this is `::ffff:a.b.c.d`, the form of IPv4 addresses in RoCE v2.
    package var isIPv4Mapped: Bool {
        self.high == 0 && self.low >> 32 == 0xFFFF
    }

    /// The six bytes of the network card's address, when this is a link-local GID made from them (EUI-64).
    package var hardwareAddress: [UInt8]? {
        guard self.high == 0xFE80_0000_0000_0000, (self.low >> 24) & 0xFFFF == 0xFFFE else { return nil }
        let bytes = self.bytes
        return [bytes[8] ^ 2, bytes[9], bytes[10], bytes[13], bytes[14], bytes[15]]
    }
}

extension GID: CustomStringConvertible {
    package var description: String {
        [self.high, self.low].flatMap { word in
            (0..<4).map { part in
                let digits = String((word >> (48 - 16 * UInt64(part))) & 0xFFFF, radix: 16)
                return String(repeating: "0", count: 4 - digits.count) + digits
            }
        }.joined(separator: ":")
    }
}
