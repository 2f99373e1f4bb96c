/// Proves that a new link carries data; the server sends it over the new queue pair, the client answers
/// (PROTOCOL 3.2, 3.3).
package struct ConfirmLink: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    /// Both low flag bits: the sender's receive buffers have no eye catcher. Linux declines without them (trap T2).
    package var hasNoEyeCatcher: Bool
    /// The sender's port, address and queue pair (24 bits).
    package var macAddress: MACAddress
    package var gid: GID
    package var queuePairNumber: UInt32
    /// The server assigns it, never 0; the client adopts it.
    package var linkNumber: UInt8
    /// Names the link for diagnosis only.
    package var linkUserID: UInt32
    package var maxLinks: UInt8
    /// Version 2, release 1 and later; else 0.
    package var maxConnections: UInt8

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool,
        hasNoEyeCatcher: Bool = true, macAddress: MACAddress, gid: GID, queuePairNumber: UInt32, linkNumber: UInt8,
        linkUserID: UInt32, maxLinks: UInt8, maxConnections: UInt8 = 0
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.hasNoEyeCatcher = hasNoEyeCatcher
        self.macAddress = macAddress
        self.gid = gid
        self.queuePairNumber = queuePairNumber
        self.linkNumber = linkNumber
        self.linkUserID = linkUserID
        self.maxLinks = maxLinks
        self.maxConnections = maxConnections
    }

    private static let noEyeCatcherBits: UInt8 = 0x03

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.hasNoEyeCatcher = header.flags & Self.noEyeCatcherBits == Self.noEyeCatcherBits
        self.macAddress = MACAddress(rawValue: try reader.uint48())
        self.gid = GID(rawValue: try reader.uint128())
        self.queuePairNumber = try reader.uint24()
        self.linkNumber = try reader.uint8()
        self.linkUserID = try reader.uint32()
        self.maxLinks = try reader.uint8()
        self.maxConnections = try reader.uint8()
    }

    package func encoded() -> [UInt8] {
        LLCHeader(
            .confirmLink, version: self.version, lengthByteOrder: self.lengthByteOrder, isResponse: self.isResponse,
            flags: self.hasNoEyeCatcher ? Self.noEyeCatcherBits : 0
        ).message { writer in
            writer.uint48(self.macAddress.rawValue)
            writer.uint128(self.gid.rawValue)
            writer.uint24(self.queuePairNumber)
            writer.uint8(self.linkNumber)
            writer.uint32(self.linkUserID)
            writer.uint8(self.maxLinks)
            writer.uint8(self.maxConnections)
        }
    }
}
