/// The first four bytes of every LLC message (PROTOCOL 3.1).
struct LLCHeader {
    /// All messages in version 1, and the shortest in version 2.
    static let byteCount = 44
    static let maximumByteCount = 8192
    static let responseBit: UInt8 = 0x80

    var type: LLCMessageType
    var version: ProtocolVersion
    /// How the length of version 2 is written.
    var lengthByteOrder: ByteOrder
    /// Version 1: the low four bits of byte 2. In version 2 that byte is part of the length.
    var reason: UInt8
    var flags: UInt8

    init(
        _ type: LLCMessageType, version: ProtocolVersion, lengthByteOrder: ByteOrder, reason: UInt8 = 0,
        isResponse: Bool, flags: UInt8 = 0
    ) {
        self.type = type
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.reason = reason
        self.flags = flags | (isResponse ? Self.responseBit : 0)
    }

    var isResponse: Bool { self.has(Self.responseBit) }

    func has(_ bit: UInt8) -> Bool { self.flags & bit != 0 }

    /// Refuses a length that is not that of the received bytes, in either byte order (trap T3).
    init(reading reader: inout WireReader) throws(WireError) {
        let byteCount = reader.remaining
        let firstByte = try reader.uint8()
        let version: ProtocolVersion = firstByte & 0xf0 == 0x20 ? .two : .one
        guard let type = LLCMessageType(rawValue: firstByte & 0x0f), type.firstByte(in: version) == firstByte else {
            throw .unknownType(firstByte)
        }
        self.type = type
        self.version = version
        self.lengthByteOrder = .big
        self.reason = 0
        guard byteCount >= Self.byteCount else {
            throw .truncated(needed: Self.byteCount - byteCount, available: byteCount)
        }
        switch version {
        case .one:
            let length = Int(try reader.uint8())
            guard length == byteCount else { throw .wrongLength(byteCount, expected: length) }
            guard length == Self.byteCount else { throw .wrongLength(length, expected: Self.byteCount) }
            self.reason = try reader.uint8() & 0x0f
        case .two:
            let length = try reader.uint16()
            guard byteCount <= Self.maximumByteCount else {
                throw .wrongLength(byteCount, expected: Self.maximumByteCount)
            }
            if Int(length) != byteCount {
                guard Int(length.byteSwapped) == byteCount else {
                    throw .wrongLength(byteCount, expected: Int(length))
                }
                self.lengthByteOrder = .little
            }
        }
        self.flags = try reader.uint8()
    }

    /// Puts the header before a body and fills up with zeros to ``byteCount``.
    func message(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        guard let firstByte = self.type.firstByte(in: self.version) else {
            preconditionFailure("version \(self.version.rawValue) has no \(self.type)")
        }
        var rest = WireWriter(reserving: Self.byteCount)
        body(&rest)
        let length = max(Self.byteCount, 4 + rest.bytes.count)
        precondition(length <= (self.version == .one ? Self.byteCount : Self.maximumByteCount), "too long for LLC")
        var writer = WireWriter(reserving: length)
        writer.uint8(firstByte)
        switch self.version {
        case .one:
            writer.uint8(UInt8(length))
            writer.uint8(self.reason)
        case .two:
            writer.uint16(UInt16(length), self.lengthByteOrder)
        }
        writer.uint8(self.flags)
        writer.bytes(rest.bytes)
        writer.zeros(upTo: length)
        return writer.bytes
    }
}

extension WireReader {
    /// The end of an LLC message: refuses bytes beyond the shortest length that nothing has read.
    func expectEndOfLLC() throws(WireError) {
        guard self.offset + self.remaining > LLCHeader.byteCount else { return }
        try self.expectEnd()
    }
}
