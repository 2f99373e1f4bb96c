internal import SMCWire

/// The life of an SMB: create, bind, accept or reject, unbind, destroy (A25-A30). The states are drawn in
/// `Docs/Hypervisor.md`.
extension Hypervisor {
    /// Takes a block for an SMB of `address`, which must be the caller's own (A25, A43).
    mutating func create(
        _ caller: CallerID, _ ringByteCount: Int, _ address: SMGID
    ) throws(Refused) -> ControlResponse {
        guard let (holder, vlan) = self.addresses[address], holder == caller else {
            throw Refused(
                .notOwnAddress, "The address \(address) is not this session's own; use one that join returned.")
        }
        let block = try self.pool.take(
            BlockRequest(
                ringByteCount: ringByteCount, holder: BlockHolder(vlan: vlan, partition: caller), pools: nil,
                limits: self.limits(caller, vlan)))
        let id = SMBID(rawValue: self.newNumber())
        let token: OwnerToken = self.newToken()
        self.smbs[id] = SharedMemoryBuffer(
            vlan: vlan, block: block, owner: .init(caller: caller, address: address, token: token), binding: nil)
        self.smbsByOwner[token] = id
        self.sessions[caller]?.owned.insert(id)
        self.effects.append(.sendBlock(block))
        return .created(
            CreatedRecord(
                owner: token, ringByteCount: self.pool.ringByteCount(block),
                fileByteCount: self.pool.fileByteCount(block)))
    }

    /// Offers an SMB to one peer on its VLAN (A27, A47, A48).
    mutating func bind(_ caller: CallerID, _ token: OwnerToken, _ peer: SMGID) throws(Refused) -> ControlResponse {
        let (id, smb, owner) = try self.owned(caller, token)
        guard smb.binding == nil else {
            throw Refused(.alreadyBound, smb.state == .withdrawn ? Self.notLetGo : nil)
        }
        guard let (peerCaller, vlan) = self.addresses[peer] else {
            throw Refused(.unknownPartition, "No partition of this hypervisor has the address \(peer); it may be gone.")
        }
        guard vlan == smb.vlan else {
            throw Refused(
                .notOnCommonVLAN,
                "The SMB belongs to VLAN \(smb.vlan), but the address \(peer) is on another; create it on a common one."
            )
        }
        let key = Pair.Key(owner.address, peer)
        let known = self.pairsByKey[key]
        if let known, let pair = self.pairs[known] {
            guard pair.hasFreeBit(for: owner.address, limit: self.configuration.bitsPerDirection) else {
                throw Refused(.tooManyBindings)
            }
        }
        let pairID = known ?? self.createPair(key)
        var pair = self.pairs[pairID] ?? Pair(key)
        let bit = pair.takeBit(for: owner.address)
        let isFirst = pair.grant(to: owner.address)
        self.pairs[pairID] = pair
        let offer = self.newOffer()
        let signal = SharedMemoryBuffer.Signal(pair: pairID, bit: bit, ownerToken: self.newToken())
        self.smbs[id]?.binding = .init(peerCaller: peerCaller, peer: peer, stage: .offered(offer), signal: signal)
        self.smbsByOffer[offer] = id
        self.sessions[peerCaller]?.bound.insert(id)
        return .bound(offer, self.signalRecord(signal.ownerToken, signal, key, owner.address, isFirst))
    }

    /// The peer takes what was offered to it (A28, A50).
    mutating func accept(
        _ caller: CallerID, _ offer: OfferToken, _ from: SMGID
    ) throws(Refused) -> ControlResponse {
        let (id, smb, binding) = try self.offered(caller, offer, from)
        guard var signal = binding.signal, var pair = self.pairs[signal.pair] else { throw Refused(.badToken) }
        let buffer: BufferToken = self.newToken()
        let signalToken: SignalToken = self.newToken()
        let isFirst = pair.grant(to: binding.peer)
        self.pairs[signal.pair] = pair
        signal.peerToken = signalToken
        self.smbs[id]?.binding?.signal = signal
        self.smbs[id]?.binding?.stage = .accepted(buffer)
        self.smbsByOffer[offer] = nil
        self.smbsByBuffer[buffer] = id
        self.effects.append(.sendBlock(smb.block))
        return .accepted(
            AcceptedRecord(
                buffer: buffer, ringByteCount: self.pool.ringByteCount(smb.block),
                fileByteCount: self.pool.fileByteCount(smb.block),
                signal: self.signalRecord(signalToken, signal, pair.key, binding.peer, isFirst)))
    }

    /// The peer turns an offer down (A29).
    mutating func reject(_ caller: CallerID, _ offer: OfferToken, _ from: SMGID) throws(Refused) {
        self.endBinding(try self.offered(caller, offer, from).id)
    }

    /// The peer lets go (A30).
    mutating func unbind(_ caller: CallerID, _ token: BufferToken) throws(Refused) {
        guard let id = self.smbsByBuffer[token], self.smbs[id]?.binding?.peerCaller == caller else {
            throw Refused(.badToken)
        }
        self.endBinding(id)
    }

    /// The owner takes an offer or a binding back (A30). A peer that accepted holds the memory until it lets go.
    mutating func unbind(_ caller: CallerID, _ token: OwnerToken) throws(Refused) {
        let (id, smb, _) = try self.owned(caller, token)
        switch smb.state {
        case .offered: self.endBinding(id)
        case .accepted: self.endSignal(id)
        case .withdrawn: throw Refused(.notBound, Self.notLetGo)
        case .created, .orphaned: throw Refused(.notBound)
        }
    }

    /// The owner gives the SMB back (A26). A peer that accepted holds the memory until it lets go.
    mutating func destroy(_ caller: CallerID, _ token: OwnerToken) throws(Refused) {
        self.disown(try self.owned(caller, token).id)
    }

    private static let notLetGo = "The binding was taken back already, but the last peer has not let go of the SMB yet."

    // MARK: Who may

    /// The SMB that `token` gives `caller` the owner's right to.
    private func owned(
        _ caller: CallerID, _ token: OwnerToken
    ) throws(Refused) -> (id: SMBID, smb: SharedMemoryBuffer, owner: SharedMemoryBuffer.Owner) {
        guard let id = self.smbsByOwner[token], let smb = self.smbs[id], let owner = smb.owner, owner.caller == caller
        else { throw Refused(.badToken) }
        return (id, smb, owner)
    }

    /// The SMB that was offered to `caller` under this number by `from`.
    private func offered(
        _ caller: CallerID, _ offer: OfferToken, _ from: SMGID
    ) throws(Refused) -> (id: SMBID, smb: SharedMemoryBuffer, binding: SharedMemoryBuffer.Binding) {
        guard let id = self.smbsByOffer[offer], let smb = self.smbs[id], let binding = smb.binding,
            binding.peerCaller == caller, smb.owner?.address == from
        else { throw Refused(.badToken) }
        return (id, smb, binding)
    }

    // MARK: Pairs

    private mutating func createPair(_ key: Pair.Key) -> PairID {
        let id = PairID(self.newNumber())
        self.pairsByKey[key] = id
        self.pairs[id] = Pair(key)
        self.effects.append(.createPair(id))
        return id
    }

    private mutating func signalRecord(
        _ token: SignalToken, _ signal: SharedMemoryBuffer.Signal, _ key: Pair.Key, _ holder: SMGID, _ isFirst: Bool
    ) -> SignalRecord {
        if isFirst {
            let outgoing = key.direction(to: key.counterpart(of: holder))
            self.effects.append(.sendPair(signal.pair, incoming: key.direction(to: holder), outgoing: outgoing))
        }
        return SignalRecord(token: token, pair: signal.pair.rawValue, bit: signal.bit, hasNewPair: isFirst)
    }

    // MARK: Endings

    /// The signal tokens of a binding die and its bit is free again; a pair without bindings ends.
    private mutating func endSignal(_ id: SMBID) {
        guard let binding = self.smbs[id]?.binding, let signal = binding.signal else { return }
        self.smbs[id]?.binding?.signal = nil
        guard var pair = self.pairs[signal.pair] else { return }  // It ended with one of its partitions.
        let owner = pair.key.counterpart(of: binding.peer)
        pair.giveBitBack(signal.bit, for: owner)
        pair.endGrant(of: owner)
        if signal.peerToken != nil { pair.endGrant(of: binding.peer) }
        if pair.bindingCount == 0 {
            self.pairs[signal.pair] = nil
            self.pairsByKey[pair.key] = nil
            self.effects.append(.dropPair(signal.pair))
        } else {
            self.pairs[signal.pair] = pair
        }
    }

    /// The peer has nothing to do with the SMB any more.
    mutating func endBinding(_ id: SMBID) {
        self.endSignal(id)
        guard let binding = self.smbs[id]?.binding else { return }
        switch binding.stage {
        case .offered(let offer): self.smbsByOffer[offer] = nil
        case .accepted(let buffer): self.smbsByBuffer[buffer] = nil
        }
        self.sessions[binding.peerCaller]?.bound.remove(id)
        self.smbs[id]?.binding = nil
        self.releaseIfUnheld(id)
    }

    /// The owner has nothing to do with the SMB any more. An offer that nobody took ends with it.
    mutating func disown(_ id: SMBID) {
        guard let smb = self.smbs[id], let owner = smb.owner else { return }
        self.smbsByOwner[owner.token] = nil
        self.sessions[owner.caller]?.owned.remove(id)
        if smb.state == .offered {
            self.endBinding(id)
        } else {
            self.endSignal(id)
        }
        self.smbs[id]?.owner = nil
        self.releaseIfUnheld(id)
    }

    /// The block goes back when neither owner nor peer is left.
    private mutating func releaseIfUnheld(_ id: SMBID) {
        guard let smb = self.smbs[id], smb.owner == nil, smb.binding == nil else { return }
        self.smbs[id] = nil
        self.pool.giveBack(smb.block)
        self.effects.append(.reclaim(smb.block))
    }
}
