/// The size of a receive buffer element as four bits: 2^(14+c) bytes, 16 KiB to 512 MiB (PROTOCOL 5).
package struct CompressedSize: Hashable, Sendable {
    /// The code, 0...15.
    package let rawValue: UInt8

    /// nil if the code does not fit four bits.
    package init?(rawValue: UInt8) {
        guard rawValue < 16 else { return nil }
        self.rawValue = rawValue
    }

    /// The smallest size that holds `byteCount` bytes; nil if that is more than 512 MiB.
    package init?(holding byteCount: Int) {
        guard let code = (0..<16).first(where: { byteCount <= 1 << (14 + $0) }) else { return nil }
        self.rawValue = UInt8(code)
    }

    init(highNibbleOf byte: UInt8) {
        self.rawValue = byte >> 4
    }

    package var byteCount: Int { 1 << (14 + Int(self.rawValue)) }
}

extension CompressedSize: Comparable {
    package static func < (left: CompressedSize, right: CompressedSize) -> Bool { left.rawValue < right.rawValue }
}
