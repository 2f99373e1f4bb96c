/// Announces a new receive buffer: its key and address on every link of the group (PROTOCOL 3.2, 3.3).
package struct ConfirmRKey: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    /// The receiver could not take the keys.
    package var isNegative: Bool
    /// The receiver may be asked again.
    package var mayRetry: Bool
    /// The buffer's key and address on the link that carries the message.
    package var rkey: UInt32
    package var address: UInt64
    /// How many other links have a key, at most ``otherLinkCountMax``; in version 2 at most two.
    package var otherLinkCount: UInt8
    /// The other links in this message: two, or ``otherLinkCount`` if that is less. More follow in
    /// ``ConfirmRKeyContinuation``.
    package var otherLinks: [LinkRKey]

    package static let linksPerMessage = 2
    /// A group has at most eight links.
    package static let otherLinkCountMax = 7

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool = false,
        isNegative: Bool = false, mayRetry: Bool = false, rkey: UInt32, address: UInt64, otherLinks: [LinkRKey] = []
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.isNegative = isNegative
        self.mayRetry = mayRetry
        self.rkey = rkey
        self.address = address
        self.otherLinkCount = UInt8(otherLinks.count)
        self.otherLinks = Array(otherLinks.prefix(Self.linksPerMessage))
    }

    static let negativeBit: UInt8 = 0x20
    static let retryBit: UInt8 = 0x10

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.isNegative = header.has(Self.negativeBit)
        self.mayRetry = header.has(Self.retryBit)
        self.otherLinkCount = try reader.uint8()
        let countMax = header.version == .one ? Self.otherLinkCountMax : Self.linksPerMessage
        guard self.otherLinkCount <= countMax else {
            throw .badValue(field: "number of other links", value: UInt64(self.otherLinkCount))
        }
        self.rkey = try reader.uint32()
        self.address = try reader.uint64()
        self.otherLinks = []
        for _ in 0..<min(Self.linksPerMessage, Int(self.otherLinkCount)) {
            self.otherLinks.append(try LinkRKey(reading: &reader))
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.otherLinkCount <= (self.version == .one ? Self.otherLinkCountMax : Self.linksPerMessage))
        precondition(self.otherLinks.count == min(Self.linksPerMessage, Int(self.otherLinkCount)))
        return LLCHeader(
            .confirmRKey, version: self.version, lengthByteOrder: self.lengthByteOrder, isResponse: self.isResponse,
            flags: (self.isNegative ? Self.negativeBit : 0) | (self.mayRetry ? Self.retryBit : 0)
        ).message { writer in
            writer.uint8(self.otherLinkCount)
            writer.uint32(self.rkey)
            writer.uint64(self.address)
            for link in self.otherLinks {
                link.write(to: &writer)
            }
        }
    }
}
