internal import SMCWire

/// Numbers an SMB; never used twice, so it is the generation that tokens are bound to.
struct SMBID: Hashable, Sendable, Comparable {
    var rawValue: UInt64

    static func < (left: SMBID, right: SMBID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One SMB in the books (seed A12).
struct SharedMemoryBuffer: Sendable {
    struct Owner: Sendable {
        let caller: CallerID
        let address: SMGID
        let token: OwnerToken
        /// Whether it got the memory itself, and not only the right to SM Move.
        let isMapped: Bool
    }

    /// What joins an SMB to one peer, from the offer until one of the two ends it.
    struct Binding: Sendable {
        let caller: CallerID
        let peer: SMGID
        let pair: PairID
        /// The bit that stands for it in both arrays of the pair.
        let bit: Int
        let ownerSignal: SignalToken
        var stage: Stage

        /// The peer holds the memory itself.
        var isMapped: Bool {
            if case .accepted(_, _, let isMapped) = self.stage { isMapped } else { false }
        }

        var isAccepted: Bool {
            if case .accepted = self.stage { true } else { false }
        }
    }

    enum Stage: Sendable {
        case offered(OfferToken)
        case accepted(BufferToken, SignalToken, isMapped: Bool)
    }

    /// One binding of one SMB: what offers, buffer tokens and signal tokens stand for.
    struct BindingID: Hashable, Sendable {
        let smb: SMBID
        let peer: SMGID
    }

    let vlan: VLANID
    let ringByteCount: Int
    let owner: Owner
    var block: BlockID
    /// One for each peer.
    var bindings: [SMGID: Binding] = [:]
    /// A former peer may still hold the block; nobody else gets it before it is replaced.
    var isTainted = false

    /// In an order that does not depend on chance.
    var sortedBindings: [Binding] {
        self.bindings.count < 2
            ? Array(self.bindings.values)
            : self.bindings.values.sorted { ($0.peer.gid, $0.peer.extendedGID) < ($1.peer.gid, $1.peer.extendedGID) }
    }
}
