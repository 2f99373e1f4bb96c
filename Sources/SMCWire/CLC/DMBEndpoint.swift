/// One end of an SMC-D connection as Accept and Confirm describe it (PROTOCOL 2.5).
package struct DMBEndpoint: Hashable, Sendable {
    /// The sender's device. The extended GID is on the wire only in version 2 with an emulated channel.
    package var gid: SMGID
    /// The right to write into the sender's receive buffer.
    package var dmbToken: UInt64
    /// Which element of the buffer belongs to this connection, counted from 0.
    package var elementIndex: UInt8
    package var elementSize: CompressedSize
    /// Four bytes that name the sender's link group.
    package var linkID: UInt32
    /// The channel (CHID) chosen in version 2; 0 in version 1, which has no such field.
    package var channel: UInt16

    package init(
        gid: SMGID, dmbToken: UInt64, elementIndex: UInt8 = 0, elementSize: CompressedSize, linkID: UInt32,
        channel: UInt16
    ) {
        self.gid = gid
        self.dmbToken = dmbToken
        self.elementIndex = elementIndex
        self.elementSize = elementSize
        self.linkID = linkID
        self.channel = channel
    }

    private var hasExtendedGID: Bool { DMBDevice(gid: self.gid, channel: self.channel).isEmulated }

    /// What both versions have.
    init(reading reader: inout WireReader) throws(WireError) {
        self.gid = SMGID(gid: try reader.uint64(), extendedGID: 0)
        self.dmbToken = try reader.uint64()
        self.elementIndex = try reader.uint8()
        self.elementSize = CompressedSize(highNibbleOf: try reader.uint8())
        try reader.skip(2)
        self.linkID = try reader.uint32()
        self.channel = 0
    }

    /// What version 2 adds, with the negotiated EID in its midst.
    mutating func readV2Part(_ reader: inout WireReader) throws(WireError) -> EID {
        self.channel = try reader.uint16()
        let eid = try EID(reading: &reader)
        let extendedGID = try reader.uint64()
        if self.hasExtendedGID { self.gid.extendedGID = extendedGID }
        return eid
    }

    /// - Parameter negotiatedEID: nil in version 1.
    func write(negotiatedEID: EID?, to writer: inout WireWriter) {
        writer.uint64(self.gid.gid)
        writer.uint64(self.dmbToken)
        writer.uint8(self.elementIndex)
        writer.uint8(self.elementSize.rawValue << 4)
        writer.zeros(2)
        writer.uint32(self.linkID)
        if let negotiatedEID {
            writer.uint16(self.channel)
            writer.bytes(negotiatedEID.bytes)
            writer.uint64(self.hasExtendedGID ? self.gid.extendedGID : 0)
        } else {
            writer.zeros(12)
        }
    }
}
