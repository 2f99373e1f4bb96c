internal import SMCWire

/// A session, and the partition that it became by joining.
struct Session {
    var identity: CallerIdentity
    var name = ""
    /// Whether its name is a defined one, and it may use it.
    var isDefined = false
    var isJoined = false
    /// At most ``ControlLimits/addressesPerPartition``.
    var addresses: [Membership.Address] = []
    var reports: [UInt64: ConnectionReport] = [:]
    /// Buffer tokens whose bindings the owner ended: they give nothing any more, but unbinding them is no mistake.
    var endedBuffers: Set<BufferToken> = []

    /// Ended tokens that are remembered. Whoever lets that many pile up is refused like a stranger.
    private static let endedBuffersMaximum = 4096

    mutating func remember(_ ended: BufferToken) {
        if self.endedBuffers.count >= Self.endedBuffersMaximum { self.endedBuffers.removeAll() }
        self.endedBuffers.insert(ended)
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
    /// Number of its pool.
    let pool: Int
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

/// How many bytes each partition uses on each VLAN. A block that was given back counts until nobody has it.
struct Accounts {
    /// Sessions of a defined partition have one account together; others have one each.
    enum Holder: Hashable {
        case defined(String)
        case session(CallerID)
    }

    struct ID: Hashable {
        let vlan: VLANID
        let holder: Holder
    }

    private(set) var byteCounts: [ID: Int] = [:]
    private var holders: [BlockID: ID] = [:]

    func byteCount(_ account: ID) -> Int {
        self.byteCounts[account] ?? 0
    }

    mutating func charge(_ block: BlockID, byteCount: Int, to account: ID) {
        self.holders[block] = account
        self.byteCounts[account, default: 0] += byteCount
    }

    mutating func release(_ block: BlockID, byteCount: Int) {
        guard let account = self.holders.removeValue(forKey: block) else { return }
        let rest = self.byteCount(account) - byteCount
        self.byteCounts[account] = rest == 0 ? nil : rest
    }
}
