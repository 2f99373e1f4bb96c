/// The 128-bit address of an RDMA port: a RoCEv1 GID, or in RoCEv2 an IP address (PROTOCOL 2.3).
package struct GID: Hashable, Sendable {
    /// The sixteen bytes, the first one in the highest place.
    package var rawValue: UInt128

    package init(rawValue: UInt128) {
        self.rawValue = rawValue
    }

    /// The RoCEv2 GID of an IPv4 address: `::ffff:a.b.c.d`.
    package init(ipv4Address: UInt32) {
        self.rawValue = 0xffff_0000_0000 | UInt128(ipv4Address)
    }

    /// From sixteen bytes; nil for any other count.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.rawValue = bytes.reduce(0) { ($0 << 8) | UInt128($1) }
    }

    /// All zero: no address.
    package static let zero = GID(rawValue: 0)

    /// The IPv4 address that is mapped into this GID, first byte highest, if there is one.
    package var ipv4Address: UInt32? {
        self.rawValue >> 32 == 0xffff ? UInt32(truncatingIfNeeded: self.rawValue) : nil
    }

    /// The sixteen bytes in wire order.
    package var bytes: [UInt8] {
        (0..<16).map { UInt8(truncatingIfNeeded: self.rawValue >> (120 - $0 * 8)) }
    }
}

extension GID: CustomStringConvertible {
    /// `::ffff:a.b.c.d`, or eight groups of four hexadecimal digits.
    package var description: String {
        let bytes = self.bytes
        if self.ipv4Address != nil {
            return "::ffff:" + bytes[12...].map(String.init).joined(separator: ".")
        }
        return (0..<8).map { hexadecimal(UInt64(bytes[$0 * 2]) << 8 | UInt64(bytes[$0 * 2 + 1]), digits: 4) }
            .joined(separator: ":")
    }
}

/// `value` in hexadecimal, with zeros in front.
func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
