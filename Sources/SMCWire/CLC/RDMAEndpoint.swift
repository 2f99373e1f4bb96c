/// One end of an SMC-R connection as Accept and Confirm describe it (PROTOCOL 2.4).
package struct RDMAEndpoint: Hashable, Sendable {
    package var peerID: PeerID
    /// The address of the port that the link uses.
    package var gid: GID
    package var macAddress: MACAddress
    /// The sender's queue pair, 24 bits.
    package var queuePairNumber: UInt32
    /// The key of the sender's RMB on this link.
    package var rkey: UInt32
    /// Which element of the RMB belongs to this connection, counted from 1; never 0.
    package var elementIndex: UInt8
    /// What the peer must put into CDC messages to this sender.
    package var alertToken: UInt32
    package var elementSize: CompressedSize
    /// Accept: the server's own. Confirm: the smaller of both.
    package var mtu: PathMTU
    /// Where the RMB starts, for RDMA WRITE; opaque to the peer.
    package var address: UInt64
    /// The first packet sequence number the sender's queue pair sends, 24 bits.
    package var initialPSN: UInt32

    package init(
        peerID: PeerID, gid: GID, macAddress: MACAddress, queuePairNumber: UInt32, rkey: UInt32,
        elementIndex: UInt8 = 1, alertToken: UInt32, elementSize: CompressedSize, mtu: PathMTU, address: UInt64,
        initialPSN: UInt32
    ) {
        self.peerID = peerID
        self.gid = gid
        self.macAddress = macAddress
        self.queuePairNumber = queuePairNumber
        self.rkey = rkey
        self.elementIndex = elementIndex
        self.alertToken = alertToken
        self.elementSize = elementSize
        self.mtu = mtu
        self.address = address
        self.initialPSN = initialPSN
    }

    init(reading reader: inout WireReader) throws(WireError) {
        self.peerID = PeerID(rawValue: try reader.uint64())
        self.gid = GID(rawValue: try reader.uint128())
        self.macAddress = MACAddress(rawValue: try reader.uint48())
        self.queuePairNumber = try reader.uint24()
        self.rkey = try reader.uint32()
        self.elementIndex = try reader.uint8()
        guard self.elementIndex > 0 else { throw .badValue(field: "RMB element index", value: 0) }
        self.alertToken = try reader.uint32()
        let sizeAndMTU = try reader.uint8()
        self.elementSize = CompressedSize(highNibbleOf: sizeAndMTU)
        self.mtu = try PathMTU(code: sizeAndMTU & 0x0f)
        try reader.skip(1)
        self.address = try reader.uint64()
        try reader.skip(1)
        self.initialPSN = try reader.uint24()
    }

    func write(to writer: inout WireWriter) {
        precondition(self.elementIndex > 0, "elements of an RMB are counted from 1")
        writer.uint64(self.peerID.rawValue)
        writer.uint128(self.gid.rawValue)
        writer.uint48(self.macAddress.rawValue)
        writer.uint24(self.queuePairNumber)
        writer.uint32(self.rkey)
        writer.uint8(self.elementIndex)
        writer.uint32(self.alertToken)
        writer.uint8(self.elementSize.rawValue << 4 | self.mtu.rawValue)
        writer.zeros(1)
        writer.uint64(self.address)
        writer.zeros(1)
        writer.uint24(self.initialPSN)
    }
}
