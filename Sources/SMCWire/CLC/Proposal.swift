/// What a client offers, the first CLC message of a connection (PROTOCOL 2.3).
///
/// Version 2 is complete. Version 1 is decoded and encoded as well.
package struct Proposal: Hashable, Sendable {
    /// A sender that knows version 2 writes version 2 even when it offers only version 1 modes.
    package var version: ProtocolVersion
    /// What is offered in version 2; anything but `.none` goes with ``v2Extension``.
    package var modesV2: SMCModes
    /// What is offered in version 1; anything but `.none` goes with ``ipArea``.
    package var modesV1: SMCModes
    /// The client. Linux leaves it zero in a version 2 offer; fill it always (trap T4).
    package var peerID: PeerID
    /// Version 1: the RoCEv1 GID the client would use.
    package var gid: GID
    /// Version 1: the MAC address of that port. Linux leaves it zero in a version 2 offer; fill it always (trap T4).
    package var macAddress: MACAddress
    /// Version 1: the client's internal shared memory device. Nil unless ``modesV1`` includes it (trap T5).
    package var ismDevice: ISMDevice?
    /// Three bytes naming who defined ``vendorOptions`` (release 1 and later).
    package var vendorOUI: UInt32
    /// Five bytes of that vendor.
    package var vendorOptions: UInt64
    /// The client's IP network, for version 1.
    package var ipArea: IPArea?
    /// What version 2 needs.
    package var v2Extension: ProposalV2Extension?

    package init(
        version: ProtocolVersion = .two, modesV2: SMCModes, modesV1: SMCModes = .none, peerID: PeerID,
        gid: GID = .zero, macAddress: MACAddress, ismDevice: ISMDevice? = nil, vendorOUI: UInt32 = 0,
        vendorOptions: UInt64 = 0, ipArea: IPArea? = nil, v2Extension: ProposalV2Extension?
    ) {
        self.version = version
        self.modesV2 = modesV2
        self.modesV1 = modesV1
        self.peerID = peerID
        self.gid = gid
        self.macAddress = macAddress
        self.ismDevice = ismDevice
        self.vendorOUI = vendorOUI
        self.vendorOptions = vendorOptions
        self.ipArea = ipArea
        self.v2Extension = v2Extension
    }

    /// A version 1 internal shared memory device: its 64-bit GID and its channel (CHID).
    package struct ISMDevice: Hashable, Sendable {
        package var gid: UInt64
        package var channel: UInt16

        package init(gid: UInt64, channel: UInt16) {
            self.gid = gid
            self.channel = channel
        }
    }

    /// Bytes from offset 40 to the IP area, if the sender has the SMC-D area between them.
    private static let smcdAreaByteCount = 40
    /// The v2 extension's offset counts from here.
    private static let v2OffsetBase = 52

    /// The bytes to send. The optional parts must be there exactly when the modes call for them.
    package func encoded() -> [UInt8] {
        precondition((self.ipArea != nil) == (self.modesV1 != .none), "the IP area goes with the version 1 modes")
        precondition((self.v2Extension != nil) == (self.modesV2 != .none), "the v2 extension goes with its modes")
        precondition(self.version == .two || self.modesV2 == .none, "a version 1 Proposal has no version 2 modes")
        var writer = WireWriter(reserving: 160)
        writer.uint64(self.peerID.rawValue)
        writer.uint128(self.gid.rawValue)
        writer.uint48(self.macAddress.rawValue)
        let hasSMCDArea = self.version == .two || self.ismDevice != nil
        writer.uint16(hasSMCDArea && self.ipArea != nil ? UInt16(Self.smcdAreaByteCount) : 0)
        if hasSMCDArea {
            self.writeSMCDArea(to: &writer)
        }
        self.ipArea?.write(to: &writer)
        self.v2Extension?.write(modes: self.modesV2, to: &writer)
        // The bits of the version 2 modes are reserved in version 1.
        let highBits = self.version == .two ? self.modesV2.rawValue << 2 : 0
        return CLCHeader.message(
            .proposal, version: self.version, lowNibble: highBits | self.modesV1.rawValue, body: writer.bytes)
    }

    private func writeSMCDArea(to writer: inout WireWriter) {
        writer.uint64(self.ismDevice?.gid ?? 0)
        writer.uint16(self.ismDevice?.channel ?? 0)
        let ipAreaByteCount = self.ipArea?.byteCount ?? 0
        writer.uint16(self.v2Extension == nil ? 0 : UInt16(80 + ipAreaByteCount - Self.v2OffsetBase))
        writer.uint24(self.vendorOUI)
        writer.uint40(self.vendorOptions)
        writer.zeros(20)
    }

    init(_ header: CLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.modesV1 = SMCModes(lowBitsOf: header.lowNibble)
        self.modesV2 = header.version == .two ? SMCModes(lowBitsOf: header.lowNibble >> 2) : .none
        self.peerID = PeerID(rawValue: try reader.uint64())
        self.gid = GID(rawValue: try reader.uint128())
        self.macAddress = MACAddress(rawValue: try reader.uint48())
        let ipAreaOffset = try reader.uint16()
        let hasSMCDArea = header.version == .two || ipAreaOffset != 0
        let expectedOffset = hasSMCDArea && self.modesV1 != .none ? Self.smcdAreaByteCount : 0
        guard Int(ipAreaOffset) == expectedOffset else {
            throw .badValue(field: "IP area offset", value: UInt64(ipAreaOffset))
        }
        self.vendorOUI = 0
        self.vendorOptions = 0
        var v2Offset: UInt16 = 0
        if hasSMCDArea {
            let device = ISMDevice(gid: try reader.uint64(), channel: try reader.uint16())
            // Version 2 always has the area, so zeros there mean no device.
            let isAbsent = header.version == .two && device.gid == 0 && device.channel == 0
            self.ismDevice = isAbsent ? nil : device
            v2Offset = try reader.uint16()
            self.vendorOUI = try reader.uint24()
            self.vendorOptions = try reader.uint40()
            try reader.skip(20)
        }
        if self.modesV1 != .none {
            self.ipArea = try IPArea(reading: &reader)
        }
        let expectedV2Offset = self.modesV2 == .none ? 0 : reader.offset - Self.v2OffsetBase
        guard header.version == .one || Int(v2Offset) == expectedV2Offset else {
            throw .badValue(field: "v2 extension offset", value: UInt64(v2Offset))
        }
        if self.modesV2 != .none {
            self.v2Extension = try ProposalV2Extension(modes: self.modesV2, reading: &reader)
        }
    }
}
