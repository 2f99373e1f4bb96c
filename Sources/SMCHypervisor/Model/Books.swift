internal import SMCWire

/// A session, and the partition that it became by joining.
struct Session {
    let caller: CallerID
    var identity: CallerIdentity
    var name = ""
    /// Whether its name is a defined one, and it may use it.
    var isDefined = false
    var isJoined = false
    /// At most ``ControlLimits/addressesPerPartition``.
    var addresses: [Membership.Address] = []
    var reports: [UInt64: ConnectionReport] = [:]
    /// Buffer tokens whose bindings were ended by somebody else: they give nothing any more, but unbinding them is no
    /// mistake.
    var endedBuffers = EndedBuffers()

    /// Sessions of a defined partition have one account together; others have one each.
    var account: PartitionAccount {
        self.isDefined ? .defined(self.name) : .session(self.caller)
    }
}

/// Ended tokens of one session. Whoever lets too many pile up is refused like a stranger.
struct EndedBuffers {
    private static let maximum = 4096
    private var tokens: Set<BufferToken> = []

    mutating func insert(_ token: BufferToken) {
        if self.tokens.count >= Self.maximum { self.tokens.removeAll() }
        self.tokens.insert(token)
    }

    /// - Returns: whether it was there.
    mutating func remove(_ token: BufferToken) -> Bool {
        self.tokens.remove(token) != nil
    }
}

/// An SM-GID: whose it is, and what hangs on it (seed A14, A24).
struct AddressBooks {
    let caller: CallerID
    let vlan: VLANID
    /// SMBs that it owns, SMBs of which it is a peer, and the pairs that it is one side of.
    var owned: Set<SMBID> = []
    var bound: Set<SMBID> = []
    var pairs: Set<PairID> = []
}

/// A VLAN (seed A15).
struct VLANBooks {
    var definition: VLANDefinition
    var addresses: Set<SMGID> = []
    /// By the partition's name.
    var authorisations: [String: Authorisation] = [:]
}

/// A partition that an administrator defined (seed A9, A36).
struct PartitionBooks {
    var definition: PartitionDefinition
    var sessions: Set<CallerID> = []

    func isFor(_ identity: CallerIdentity) -> Bool {
        self.definition.userIDs.contains(identity.userID)
            || self.definition.groupIDs.contains { identity.groupIDs.contains($0) }
    }
}
