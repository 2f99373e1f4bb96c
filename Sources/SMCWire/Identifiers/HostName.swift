/// The name a host gives itself in a first-contact extension: 32 bytes of ASCII, blank padded (PROTOCOL 2.6).
package struct HostName: Hashable, Sendable {
    package static let byteCount = 32

    /// The bytes, always ``byteCount`` of them.
    package let bytes: [UInt8]

    /// The first 32 characters of `text`; those that are not printable ASCII become `?`.
    package init(_ text: String) {
        let printable = text.unicodeScalars.prefix(Self.byteCount).map { scalar in
            (0x20..<0x7f).contains(scalar.value) ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "?")
        }
        self.bytes = printable + repeatElement(UInt8(ascii: " "), count: Self.byteCount - printable.count)
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.bytes = try reader.bytes(Self.byteCount)
    }

    /// The characters without padding.
    package var text: String { asciiText(self.bytes) }
}

extension HostName: CustomStringConvertible {
    package var description: String { self.text }
}
