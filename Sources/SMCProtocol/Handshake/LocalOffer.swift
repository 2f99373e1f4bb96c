package import SMCWire

/// What one end can use for a connection, found out before CLC begins, and why it cannot use the rest.
package struct LocalOffer: Hashable, Sendable {
    /// Our place on this CEC.
    package struct SharedMemory: Hashable, Sendable {
        /// Our SM-GIDs, one for each VLAN that we are on.
        package var addresses: [SMGID]
        /// Names the CEC: equal at both ends only when both asked the same hypervisor.
        package var systemEID: EID

        package init(addresses: [SMGID], systemEID: EID) {
            self.addresses = addresses
            self.systemEID = systemEID
        }
    }

    /// Our RNIC on the way to the peer.
    package struct RDMA: Hashable, Sendable {
        package var gid: GID
        package var macAddress: MACAddress
        /// The enterprise IDs that we share RDMA with.
        package var userEIDs: [EID]

        package init(gid: GID, macAddress: MACAddress, userEIDs: [EID]) {
            self.gid = gid
            self.macAddress = macAddress
            self.userEIDs = userEIDs
        }
    }

    package var peerID: PeerID
    /// Tells programs of one host apart, whose peer IDs may be equal.
    package var instance: UInt32
    package var hostName: HostName
    package var sharedMemory: SharedMemory?
    package var rdma: RDMA?
    /// Holds why a medium is missing above.
    package var record: DecisionRecord

    package init(
        peerID: PeerID, instance: UInt32, hostName: HostName, sharedMemory: SharedMemory? = nil, rdma: RDMA? = nil,
        record: DecisionRecord = DecisionRecord()
    ) {
        self.peerID = peerID
        self.instance = instance
        self.hostName = hostName
        self.sharedMemory = sharedMemory
        self.rdma = rdma
        self.record = record
    }

    /// Whether there is anything to propose.
    package var isEmpty: Bool { self.sharedMemory == nil && self.rdma == nil }

    /// What goes with the first contact of two hosts.
    func firstContact(release: UInt8, maxConnections: UInt8, maxLinks: UInt8, isRDMA: Bool) -> FirstContactExtension {
        FirstContactExtension(
            isV2Direct: isRDMA, release: release, hostName: self.hostName,
            maxConnections: isRDMA && release > 0 ? maxConnections : 0,
            maxLinks: isRDMA && release > 0 ? maxLinks : 0,
            featureMask: release > 0 ? .emulatedISM : [])
    }

    /// The message that gives up on SMC, with the reasons that were found.
    func decline(isOutOfSync: Bool = false) -> Decline {
        let codes = self.record.refusals.map { $0.reason.diagnosis(for: $0.path) }
        let first = isOutOfSync ? .synchronizationError : codes.first ?? .noDevice
        let further = codes.filter { $0 != first }.prefix(Decline.furtherDiagnosisCountMax)
        return Decline(
            version: .two, isOutOfSync: isOutOfSync, peerID: self.peerID, diagnosis: first, operatingSystem: .linux,
            furtherDiagnoses: Array(further))
    }

    /// Notes what a peer's Decline says.
    mutating func note(_ decline: Decline) {
        for diagnosis in [decline.diagnosis] + decline.furtherDiagnoses {
            var reason = FallbackReason(peerDiagnosis: diagnosis)
            if reason.code == .noCommonUEID, let rdma = self.rdma {
                reason.detail += "; ours: \(rdma.userEIDs.map(\.text).joined(separator: ", "))"
            }
            if let path = FallbackReason.path(of: diagnosis) {
                self.record.refuse(path, reason)
            } else {
                if self.sharedMemory != nil { self.record.refuse(.sharedMemory, reason) }
                if self.rdma != nil { self.record.refuse(.rdma, reason) }
                if self.isEmpty { self.record.refuse(.rdma, reason) }
            }
        }
    }
}

/// Values of the negotiation that are the same for every connection.
package enum HandshakeConstants {
    /// The release of SMCv2 that we speak.
    package static let release: UInt8 = 1
    /// Connections that one of our link groups may hold: the protocol's limit.
    package static let maxConnections: UInt8 = 255
    /// Links that one of our link groups may hold.
    package static let maxLinks: UInt8 = 1
    /// The channel of our CEC's shared memory: one of those that the protocol keeps for emulated devices, but not the
    /// kernel's own loopback device (0xffff), whose memory no program can map.
    package static let channel: UInt16 = 0xff53
    /// "SM", locally administered: says that the vendor bytes of a Proposal are ours.
    package static let vendorOUI: UInt32 = 0x02_534d
    /// The layout of the vendor bytes.
    package static let vendorVersion: UInt64 = 1

    /// The vendor bytes of a Proposal: a version byte, then the instance.
    package static func vendorOptions(instance: UInt32) -> UInt64 {
        Self.vendorVersion << 32 | UInt64(instance)
    }
}
