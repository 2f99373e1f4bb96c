/// The first eight bytes of every CLC message (PROTOCOL 2.1).
///
/// Peek exactly ``byteCount`` bytes of the TCP stream, decode them here, then read ``length`` bytes and no more: what
/// follows may be user data.
package struct CLCHeader: Hashable, Sendable {
    package static let byteCount = 8

    /// No legal message is longer: a first-contact Confirm in version 2 with 255 GIDs.
    package static let maximumLength = Confirm.lengthWithGIDList(of: 255)

    package var eyeCatcher: EyeCatcher
    package var type: CLCMessageType
    /// Bytes of the whole message, header and trailer included.
    package var length: Int
    package var version: ProtocolVersion
    /// Four bits whose meaning depends on the type.
    package var lowNibble: UInt8

    package init(
        eyeCatcher: EyeCatcher = .smcr, type: CLCMessageType, length: Int, version: ProtocolVersion, lowNibble: UInt8
    ) {
        self.eyeCatcher = eyeCatcher
        self.type = type
        self.length = length
        self.version = version
        self.lowNibble = lowNibble
    }

    /// From exactly ``byteCount`` bytes.
    ///
    /// - Throws: when the bytes are no CLC header, or ``length`` is outside of what its type allows.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        try self.init(reading: &reader)
        try reader.expectEnd()
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.eyeCatcher = try EyeCatcher(reading: &reader)
        let typeByte = try reader.uint8()
        guard let type = CLCMessageType(rawValue: typeByte) else { throw .unknownType(typeByte) }
        self.type = type
        self.length = Int(try reader.uint16())
        let lastByte = try reader.uint8()
        guard let version = ProtocolVersion(rawValue: lastByte >> 4) else { throw .unknownVersion(lastByte >> 4) }
        self.version = version
        self.lowNibble = lastByte & 0x0f
        let minimum = Self.minimumLength(type)
        guard self.length >= minimum else { throw .wrongLength(self.length, expected: minimum) }
        guard self.length <= Self.maximumLength else { throw .wrongLength(self.length, expected: Self.maximumLength) }
    }

    /// Whether a stream that starts with `bytes` may carry CLC: as far as they reach, up to four bytes, they are those
    /// of an eye catcher.
    ///
    /// A prefix shorter than four bytes is answered by the bytes that are there, so the empty one answers true: ask
    /// again when more has come. Four or more bytes get the final answer.
    package static func looksLikeCLC(_ bytes: [UInt8]) -> Bool {
        [EyeCatcher.smcr, .smcd].contains { eyeCatcher in
            let expected = (0..<4).map { UInt8(truncatingIfNeeded: eyeCatcher.rawValue >> (24 - $0 * 8)) }
            return zip(bytes, expected).allSatisfy { $0 == $1 }
        }
    }

    /// The shortest message of each type in any version.
    private static func minimumLength(_ type: CLCMessageType) -> Int {
        switch type {
        case .proposal: 52
        case .accept, .confirm: 48
        case .decline: 28
        }
    }

    /// Wraps a body into header and trailer.
    static func message(
        _ type: CLCMessageType, version: ProtocolVersion, lowNibble: UInt8, eyeCatcher: EyeCatcher = .smcr,
        body: [UInt8]
    ) -> [UInt8] {
        let length = Self.byteCount + body.count + EyeCatcher.byteCount
        var writer = WireWriter(reserving: length)
        writer.uint32(eyeCatcher.rawValue)
        writer.uint8(type.rawValue)
        writer.uint16(UInt16(length))
        writer.uint8(version.rawValue << 4 | lowNibble)
        writer.bytes(body)
        writer.uint32(eyeCatcher.rawValue)
        return writer.bytes
    }
}
