/// An enterprise ID: 32 bytes that two hosts must share to use version 2 (PROTOCOL 2.3).
///
/// User EIDs (UEID) are configured text. The system EID (SEID) of a machine has the same form, or is all zero.
/// EIDs are compared byte by byte; bytes from a peer are kept as they came.
package struct EID: Hashable, Sendable {
    package static let byteCount = 32

    /// The bytes, always ``byteCount`` of them.
    package let bytes: [UInt8]

    /// All zero: no system EID.
    package static let zero = EID(checked: [UInt8](repeating: 0, count: EID.byteCount))

    private init(checked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// From 32 bytes of any content; nil for any other count.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// From the text of a user EID; nil if it breaks a rule.
    ///
    /// 1 to 32 characters out of `A-Z 0-9 . -`, the first one a letter or digit; blanks are added at the end, and
    /// blanks at the end of `text` are allowed.
    package init?(_ text: String) {
        var bytes = Array(text.utf8)
        while bytes.last == Self.blank { bytes.removeLast() }
        guard text.utf8.count <= Self.byteCount, let first = bytes.first, Self.isAlphanumeric(first),
            bytes.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.bytes = bytes + repeatElement(Self.blank, count: Self.byteCount - bytes.count)
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.bytes = try reader.bytes(Self.byteCount)
    }

    /// The characters without the blanks and zeros at the end; bytes that are not ASCII show as `?`.
    package var text: String { asciiText(self.bytes) }

    private static let blank = UInt8(ascii: " ")

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension EID: CustomStringConvertible {
    package var description: String { self.text }
}

/// The characters of a padded field; what cannot be printed shows as `?`.
func asciiText(_ bytes: [UInt8]) -> String {
    var visible = bytes[...]
    while let last = visible.last, last == UInt8(ascii: " ") || last == 0 { visible.removeLast() }
    return String(decoding: visible.map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
}
