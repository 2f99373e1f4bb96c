/// A buffer that is already known on one link, as it is known on a new one (PROTOCOL 3.2).
package struct NewLinkRKey: Hashable, Sendable {
    /// The buffer's key on the link that carries the message.
    package var rkey: UInt32
    /// The buffer's key on the new link.
    package var newLinkRKey: UInt32
    /// Where the buffer starts on the new link.
    package var newLinkAddress: UInt64

    package static let byteCount = 16

    package init(rkey: UInt32, newLinkRKey: UInt32, newLinkAddress: UInt64) {
        self.rkey = rkey
        self.newLinkRKey = newLinkRKey
        self.newLinkAddress = newLinkAddress
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.rkey = try reader.uint32()
        self.newLinkRKey = try reader.uint32()
        self.newLinkAddress = try reader.uint64()
    }

    func write(to writer: inout WireWriter) {
        writer.uint32(self.rkey)
        writer.uint32(self.newLinkRKey)
        writer.uint64(self.newLinkAddress)
    }
}

/// A buffer's key and address on a link that is named (PROTOCOL 3.2).
package struct LinkRKey: Hashable, Sendable {
    package var linkNumber: UInt8
    package var rkey: UInt32
    package var address: UInt64

    package init(linkNumber: UInt8, rkey: UInt32, address: UInt64) {
        self.linkNumber = linkNumber
        self.rkey = rkey
        self.address = address
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.linkNumber = try reader.uint8()
        self.rkey = try reader.uint32()
        self.address = try reader.uint64()
    }

    func write(to writer: inout WireWriter) {
        writer.uint8(self.linkNumber)
        writer.uint32(self.rkey)
        writer.uint64(self.address)
    }
}
