/// The six bytes of an Ethernet address.
package struct MACAddress: Hashable, Sendable {
    /// The first byte in the highest of the low 48 bits; the rest is zero.
    package let rawValue: UInt64

    /// - Parameter rawValue: only the low 48 bits count.
    package init(rawValue: UInt64) {
        self.rawValue = rawValue & 0xffff_ffff_ffff
    }

    /// From six bytes; nil for any other count.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 6 else { return nil }
        self.rawValue = bytes.reduce(0) { ($0 << 8) | UInt64($1) }
    }

    /// All zero: not known.
    package static let zero = MACAddress(rawValue: 0)

    /// The six bytes in wire order.
    package var bytes: [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: self.rawValue >> (40 - $0 * 8)) }
    }
}

extension MACAddress: CustomStringConvertible {
    /// Six pairs of hexadecimal digits joined by colons.
    package var description: String {
        self.bytes.map { hexadecimal(UInt64($0), digits: 2) }.joined(separator: ":")
    }
}
