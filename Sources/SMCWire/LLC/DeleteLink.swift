/// Ends one link or the whole link group (PROTOCOL 3.2, 3.3).
package struct DeleteLink: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    /// The group ends; ``linkNumber`` is 0 then.
    package var deletesAll: Bool
    /// Connections have been moved off the link first.
    package var isOrderly: Bool
    package var linkNumber: UInt8
    /// In a request why, in a response how it went.
    package var reason: Reason

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool = false,
        deletesAll: Bool = false, isOrderly: Bool, linkNumber: UInt8 = 0, reason: Reason
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.deletesAll = deletesAll
        self.isOrderly = isOrderly
        self.linkNumber = linkNumber
        self.reason = reason
    }

    /// Why a link goes, or how its deletion went; other values are kept as they came.
    package struct Reason: RawRepresentable, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        // Requests.
        package static let lostPath = Reason(rawValue: 0x0001_0000)
        package static let operatorInitiated = Reason(rawValue: 0x0002_0000)
        /// The program ended, or the group is idle.
        package static let programInitiated = Reason(rawValue: 0x0003_0000)
        package static let protocolViolation = Reason(rawValue: 0x0004_0000)
        package static let asymmetricLinkNotNeeded = Reason(rawValue: 0x0005_0000)
        // Responses.
        package static let done = Reason(rawValue: 0)
        package static let unknownLink = Reason(rawValue: 0x0010_0000)
        package static let unknownGroup = Reason(rawValue: 0x0020_0000)
    }

    private static let allBit: UInt8 = 0x40
    private static let orderlyBit: UInt8 = 0x20

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.deletesAll = header.has(Self.allBit)
        self.isOrderly = header.has(Self.orderlyBit)
        self.linkNumber = try reader.uint8()
        self.reason = Reason(rawValue: try reader.uint32())
    }

    package func encoded() -> [UInt8] {
        LLCHeader(
            .deleteLink, version: self.version, lengthByteOrder: self.lengthByteOrder, isResponse: self.isResponse,
            flags: (self.deletesAll ? Self.allBit : 0) | (self.isOrderly ? Self.orderlyBit : 0)
        ).message { writer in
            writer.uint8(self.linkNumber)
            writer.uint32(self.reason.rawValue)
        }
    }
}
