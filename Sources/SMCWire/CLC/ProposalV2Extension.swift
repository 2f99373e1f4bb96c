/// What a Proposal adds for version 2 (PROTOCOL 2.3).
package struct ProposalV2Extension: Hashable, Sendable {
    /// The client's user EIDs, at most ``eidCountMax``.
    package var eids: [EID]
    /// The release of version 2, four bits.
    package var release: UInt8
    /// Whether the system EID is offered.
    package var isSEIDEnabled: Bool
    /// The RoCEv2 GID the client would use.
    package var roceGID: GID
    /// Connections per link group the client allows, 16...255 (release 1 and later, else 0).
    package var maxConnections: UInt8
    /// Links per link group the client allows, 1...2 (release 1 and later, else 0).
    package var maxLinks: UInt8
    /// What else the client knows.
    package var featureMask: FeatureMask
    /// The client's internal shared memory devices; there exactly when the version 2 modes include them.
    package var smcd: SMCDV2Extension?

    package static let eidCountMax = 8

    package init(
        eids: [EID], release: UInt8, isSEIDEnabled: Bool = false, roceGID: GID = .zero, maxConnections: UInt8 = 0,
        maxLinks: UInt8 = 0, featureMask: FeatureMask = [], smcd: SMCDV2Extension? = nil
    ) {
        self.eids = eids
        self.release = release
        self.isSEIDEnabled = isSEIDEnabled
        self.roceGID = roceGID
        self.maxConnections = maxConnections
        self.maxLinks = maxLinks
        self.featureMask = featureMask
        self.smcd = smcd
    }

    private static let fixedByteCount = 40
    /// The SMC-Dv2 extension's offset counts from here.
    private static let smcdOffsetBase = 8

    init(modes: SMCModes, reading reader: inout WireReader) throws(WireError) {
        let eidCount = Int(try reader.uint8())
        guard eidCount <= Self.eidCountMax else { throw .badValue(field: "EID count", value: UInt64(eidCount)) }
        let gidCount = try reader.uint8()
        try reader.skip(1)
        let releaseByte = try reader.uint8()
        self.release = releaseByte >> 4
        self.isSEIDEnabled = releaseByte & 0x01 != 0
        try reader.skip(2)
        let smcdOffset = try reader.uint16()
        self.roceGID = GID(rawValue: try reader.uint128())
        self.maxConnections = try reader.uint8()
        self.maxLinks = try reader.uint8()
        self.featureMask = FeatureMask(rawValue: try reader.uint16())
        try reader.skip(12)
        self.eids = []
        for _ in 0..<eidCount {
            self.eids.append(try EID(reading: &reader))
        }
        let expectedOffset = modes.includesDMB ? Self.smcdOffset(eidCount: eidCount) : 0
        guard Int(smcdOffset) == expectedOffset else {
            throw .badValue(field: "SMC-Dv2 extension offset", value: UInt64(smcdOffset))
        }
        guard modes.includesDMB || gidCount == 0 else {
            throw .badValue(field: "GID entry count", value: UInt64(gidCount))
        }
        if modes.includesDMB {
            self.smcd = try SMCDV2Extension(entryCount: gidCount, reading: &reader)
        }
    }

    func write(modes: SMCModes, to writer: inout WireWriter) {
        precondition(self.eids.count <= Self.eidCountMax, "too many EIDs")
        precondition(self.release < 16, "the release has four bits")
        precondition((self.smcd != nil) == modes.includesDMB, "the SMC-Dv2 extension goes with its mode")
        writer.uint8(UInt8(self.eids.count))
        writer.uint8(UInt8(self.smcd?.entryCount ?? 0))
        writer.zeros(1)
        writer.uint8(self.release << 4 | (self.isSEIDEnabled ? 0x01 : 0))
        writer.zeros(2)
        writer.uint16(self.smcd == nil ? 0 : UInt16(Self.smcdOffset(eidCount: self.eids.count)))
        writer.uint128(self.roceGID.rawValue)
        writer.uint8(self.maxConnections)
        writer.uint8(self.maxLinks)
        writer.uint16(self.featureMask.rawValue)
        writer.zeros(12)
        for eid in self.eids {
            writer.bytes(eid.bytes)
        }
        self.smcd?.write(to: &writer)
    }

    private static func smcdOffset(eidCount: Int) -> Int {
        Self.fixedByteCount - Self.smcdOffsetBase + EID.byteCount * eidCount
    }
}

/// What a host knows beyond its release (PROTOCOL 2.3, 2.6, 2.8); unknown bits are kept.
package struct FeatureMask: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// Emulated devices with 128-bit addresses are understood.
    package static let emulatedISM = FeatureMask(rawValue: 0x0001)
}
