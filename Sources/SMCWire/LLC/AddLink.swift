/// Asks for a further link, answers with the own end of it, or rejects it (PROTOCOL 3.2, 3.4).
package struct AddLink: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    package var isRejected: Bool
    /// Why it is rejected.
    package var rejectReason: RejectReason
    /// The sender's port, address and queue pair (24 bits) for the new link.
    package var macAddress: MACAddress
    package var gid: GID
    package var queuePairNumber: UInt32
    package var linkNumber: UInt8
    /// Nil in a client's invitation in version 1.
    package var mtu: PathMTU?
    /// The first packet sequence number the sender's queue pair sends, 24 bits.
    package var initialPSN: UInt32
    /// Version 2 carries the buffers' keys here. Linux leaves it out of a rejection.
    package var v2Extension: V2Extension?

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool,
        isRejected: Bool = false, rejectReason: RejectReason = .none, macAddress: MACAddress, gid: GID,
        queuePairNumber: UInt32, linkNumber: UInt8, mtu: PathMTU?, initialPSN: UInt32,
        v2Extension: V2Extension? = nil
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.isRejected = isRejected
        self.rejectReason = rejectReason
        self.macAddress = macAddress
        self.gid = gid
        self.queuePairNumber = queuePairNumber
        self.linkNumber = linkNumber
        self.mtu = mtu
        self.initialPSN = initialPSN
        self.v2Extension = v2Extension
    }

    /// Why a link is rejected, four bits; other values are kept as they came.
    package struct RejectReason: Hashable, Sendable {
        package let rawValue: UInt8

        /// - Parameter rawValue: only the low four bits count.
        package init(rawValue: UInt8) {
            self.rawValue = rawValue & 0x0f
        }

        /// No reason is given; Linux never gives one in version 2.
        package static let none = RejectReason(rawValue: 0)
        package static let noAlternatePath = RejectReason(rawValue: 1)
        package static let badMTU = RejectReason(rawValue: 2)
    }

    /// What follows the first 44 bytes in version 2.
    package struct V2Extension: Hashable, Sendable {
        /// No IP gateway lies between the two ports.
        package var isDirect: Bool
        /// The client's GID that the server has in mind.
        package var clientTargetGID: GID
        /// The sender's buffers, at most ``rkeyCountMax``. Linux takes no more than 255.
        package var rkeys: [NewLinkRKey]
        /// How the count of keys is written: as the peer writes its lengths, or Linux takes 1 for 256 (trap T3).
        package var countByteOrder: ByteOrder

        package static let rkeyCountMax = (LLCHeader.maximumByteCount - 72) / NewLinkRKey.byteCount

        package init(
            isDirect: Bool, clientTargetGID: GID, rkeys: [NewLinkRKey], countByteOrder: ByteOrder = .big
        ) {
            self.isDirect = isDirect
            self.clientTargetGID = clientTargetGID
            self.rkeys = rkeys
            self.countByteOrder = countByteOrder
        }

        private static let directBit: UInt8 = 0x80

        /// The count must be that of the bytes which are left, in either byte order.
        init(reading reader: inout WireReader) throws(WireError) {
            self.isDirect = try reader.uint8() & Self.directBit != 0
            try reader.skip(1)
            self.clientTargetGID = GID(rawValue: try reader.uint128())
            try reader.skip(8)
            let count = try reader.uint16()
            let expected = reader.remaining / NewLinkRKey.byteCount
            self.countByteOrder = Int(count) == expected ? .big : .little
            guard Int(count) == expected || Int(count.byteSwapped) == expected else {
                throw .badValue(field: "rkey count", value: UInt64(count))
            }
            self.rkeys = []
            for _ in 0..<expected {
                self.rkeys.append(try NewLinkRKey(reading: &reader))
            }
        }

        func write(to writer: inout WireWriter) {
            precondition(self.rkeys.count <= Self.rkeyCountMax, "too many keys")
            writer.uint8(self.isDirect ? Self.directBit : 0)
            writer.zeros(1)
            writer.uint128(self.clientTargetGID.rawValue)
            writer.zeros(8)
            writer.uint16(UInt16(self.rkeys.count), self.countByteOrder)
            for rkey in self.rkeys {
                rkey.write(to: &writer)
            }
        }
    }

    private static let rejectedBit: UInt8 = 0x40

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.isRejected = header.has(Self.rejectedBit)
        self.rejectReason = RejectReason(rawValue: header.version == .one ? header.reason : header.flags)
        self.macAddress = MACAddress(rawValue: try reader.uint48())
        try reader.skip(2)
        self.gid = GID(rawValue: try reader.uint128())
        self.queuePairNumber = try reader.uint24()
        self.linkNumber = try reader.uint8()
        let mtuCode = try reader.uint8() & 0x0f
        self.mtu = mtuCode == 0 ? nil : try PathMTU(code: mtuCode)
        self.initialPSN = try reader.uint24()
        try reader.skip(8)
        if header.version == .two && reader.remaining > 0 {
            self.v2Extension = try V2Extension(reading: &reader)
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.v2Extension == nil || self.version == .two, "version 1 has no extension")
        let reason = self.rejectReason.rawValue
        return LLCHeader(
            .addLink, version: self.version, lengthByteOrder: self.lengthByteOrder,
            reason: self.version == .one ? reason : 0, isResponse: self.isResponse,
            flags: (self.isRejected ? Self.rejectedBit : 0) | (self.version == .two ? reason : 0)
        ).message { writer in
            writer.uint48(self.macAddress.rawValue)
            writer.zeros(2)
            writer.uint128(self.gid.rawValue)
            writer.uint24(self.queuePairNumber)
            writer.uint8(self.linkNumber)
            writer.uint8(self.mtu?.rawValue ?? 0)
            writer.uint24(self.initialPSN)
            writer.zeros(8)
            self.v2Extension?.write(to: &writer)
        }
    }
}
