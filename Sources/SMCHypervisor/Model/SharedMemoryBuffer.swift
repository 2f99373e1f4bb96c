internal import SMCWire

/// Numbers an SMB; never used twice, so it is the generation that tokens are bound to.
struct SMBID: Hashable, Sendable {
    var rawValue: UInt64
}

/// One SMB in the books (seed A12).
struct SharedMemoryBuffer: Sendable {
    struct Owner: Sendable {
        let caller: CallerID
        let address: SMGID
        let token: OwnerToken
    }

    /// What joins an SMB to its peer, from the offer until the peer has let go.
    struct Binding: Sendable {
        let peerCaller: CallerID
        let peer: SMGID
        var stage: Stage
        /// Bit and signal tokens; nil once the owner took the binding back or is gone.
        var signal: Signal?
    }

    enum Stage: Sendable {
        case offered(OfferToken)
        case accepted(BufferToken)
    }

    struct Signal: Sendable {
        let pair: PairID
        let bit: Int
        let ownerToken: SignalToken
        var peerToken: SignalToken?
    }

    let vlan: VLANID
    let block: BlockID
    /// Nil once it is destroyed or its owner is gone; then the peer still holds it.
    var owner: Owner?
    var binding: Binding?

    /// The buffer token, if a peer holds the SMB.
    var bufferToken: BufferToken? {
        if case .accepted(let token) = self.binding?.stage { token } else { nil }
    }

    var state: SMBStatus.State {
        guard let binding = self.binding else { return .created }
        guard case .accepted = binding.stage else { return .offered }
        guard self.owner != nil else { return .orphaned }
        return binding.signal == nil ? .withdrawn : .accepted
    }
}
