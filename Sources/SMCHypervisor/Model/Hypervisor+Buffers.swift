internal import SMCWire

/// The life of an SMB: create, bind, accept or reject, unbind, destroy (A25-A30). The states are drawn in
/// `Docs/Hypervisor.md`.
extension Hypervisor {
    /// Takes a block for an SMB of `address`, which must be the caller's own (A25, A43).
    mutating func create(
        _ caller: CallerID, _ ringByteCount: Int, _ address: SMGID, _ isMapped: Bool
    ) throws(Refused) -> ControlResponse {
        guard let (holder, vlan) = self.place(address), holder == caller else { throw Self.notOwn(address) }
        self.object.vlan = vlan
        try self.checkFunction(vlan)
        let block = try self.takeBlock(ringByteCount, for: caller, on: vlan)
        let id = SMBID(rawValue: self.newNumber())
        let token: OwnerToken = self.newToken()
        let size = self.pools.ringByteCount(block)
        self.smbs[id] = SharedMemoryBuffer(
            vlan: vlan, ringByteCount: size,
            owner: .init(caller: caller, address: address, token: token, isMapped: isMapped), block: block)
        self.smbsByOwner[token] = id
        self.addresses[address]?.owned.insert(id)
        if isMapped { self.effects.append(.sendBlock(block)) }
        self.object.smb = id.rawValue
        self.object.byteCount = size
        return .created(
            CreatedRecord(
                owner: token, ringByteCount: size, fileByteCount: self.fileByteCount(block), isMapped: isMapped))
    }

    /// Offers an SMB to one peer on its VLAN; others may have it too (A27, A47, A48).
    mutating func bind(_ caller: CallerID, _ token: OwnerToken, _ peer: SMGID) throws(Refused) -> ControlResponse {
        let (id, smb) = try self.owned(caller, token)
        try self.checkFunction(smb.vlan)
        guard smb.bindings[peer] == nil else { throw Refused(.alreadyBound) }
        guard let target = self.place(peer) else {
            throw Refused(.unknownPartition, "No partition of this hypervisor has the address \(peer); it may be gone.")
        }
        guard target.vlan == smb.vlan else {
            throw Refused(
                .notOnCommonVLAN,
                "The SMB belongs to VLAN \(smb.vlan), but the address \(peer) is on another; create it on a common one."
            )
        }
        guard smb.bindings.count < ControlLimits.bindingsPerSMB else {
            throw Refused(
                .tooManyBindings, "The SMB is bound to \(smb.bindings.count) peers, as many as it may be; unbind some.")
        }
        let key = Pair.Key(smb.owner.address, peer)
        let known = self.pairsByKey[key]
        if let known {
            let hasBit = self.pairs[known]?.hasFreeBit(limit: self.configuration.bitsPerDirection)
            guard hasBit == true else { throw Refused(.tooManyBindings) }
        }
        var replacement: Int?
        if smb.isTainted {
            guard !smb.bindings.values.contains(where: \.isMapped) else { throw Refused(.tainted) }
            replacement = try self.replace(id)  // The last that may be refused.
        }
        // Replacing ended no binding with this peer's pair: none has the memory.
        let pairID = known ?? self.createPair(key)
        let bit = self.pairs[pairID, default: Pair(key)].takeBit()
        let isFirst = self.pairs[pairID, default: Pair(key)].grant(to: smb.owner.address)
        let offer = self.newOffer()
        let signal: SignalToken = self.newToken()
        let binding = SharedMemoryBuffer.BindingID(smb: id, peer: peer)
        self.smbs[id]?.bindings[peer] = .init(
            caller: target.caller, peer: peer, pair: pairID, bit: bit, ownerSignal: signal, stage: .offered(offer))
        self.bindingsByOffer[offer] = binding
        self.bindingsBySignal[signal] = binding
        self.addresses[peer]?.bound.insert(id)
        return .bound(
            offer, self.signalRecord(signal, pairID, bit, key, smb.owner.address, isFirst), replacement: replacement)
    }

    /// The peer takes what was offered to it (A28, A50).
    mutating func accept(
        _ caller: CallerID, _ offer: OfferToken, _ from: SMGID, _ isMapped: Bool
    ) throws(Refused) -> ControlResponse {
        let (id, smb, binding) = try self.offered(caller, offer, from)
        try self.checkFunction(smb.vlan)
        guard !smb.isTainted else {
            throw Refused(.tainted, "A former peer may still hold the SMB's memory; its owner has to renew it first.")
        }
        guard let key = self.pairs[binding.pair]?.key else { throw Refused(.badToken) }
        let buffer: BufferToken = self.newToken()
        let signal: SignalToken = self.newToken()
        let isFirst = self.pairs[binding.pair, default: Pair(key)].grant(to: binding.peer)
        self.smbs[id]?.bindings[binding.peer]?.stage = .accepted(buffer, signal, isMapped: isMapped)
        let bindingID = SharedMemoryBuffer.BindingID(smb: id, peer: binding.peer)
        self.bindingsByOffer[offer] = nil
        self.bindingsByBuffer[buffer] = bindingID
        self.bindingsBySignal[signal] = bindingID
        if isMapped { self.effects.append(.sendBlock(smb.block)) }
        return .accepted(
            AcceptedRecord(
                buffer: buffer, ringByteCount: smb.ringByteCount, fileByteCount: self.fileByteCount(smb.block),
                isMapped: isMapped,
                signal: self.signalRecord(signal, binding.pair, binding.bit, key, binding.peer, isFirst)))
    }

    /// The peer turns an offer down (A29). The owner is told.
    mutating func reject(_ caller: CallerID, _ offer: OfferToken, _ from: SMGID) throws(Refused) {
        let (id, smb, binding) = try self.offered(caller, offer, from)
        self.notify(binding, smb.owner.address)
        self.endBinding(id, binding.peer)
    }

    /// The peer lets go (A30). The owner is told.
    mutating func unbind(_ caller: CallerID, _ token: BufferToken) throws(Refused) {
        if self.sessions[caller]?.endedBuffers.remove(token) == true { return }
        guard let id = self.bindingsByBuffer[token], let smb = self.smbs[id.smb], let binding = smb.bindings[id.peer],
            binding.caller == caller
        else { throw Refused(.badToken) }
        self.object = self.auditObject(smb, id.smb, peer: id.peer)
        self.notify(binding, smb.owner.address)
        self.endBinding(id.smb, id.peer)
        _ = self.sessions[caller]?.endedBuffers.remove(token)
    }

    /// The owner takes offers or bindings back, from one peer or from all (A30). Whoever had the memory has it no
    /// longer: the owner gets another with the same contents.
    mutating func unbind(
        _ caller: CallerID, _ token: OwnerToken, _ peer: SMGID?
    ) throws(Refused) -> ControlResponse {
        let (id, smb) = try self.owned(caller, token)
        let ended: [SharedMemoryBuffer.Binding]
        if let peer {
            guard let binding = smb.bindings[peer] else { throw Refused(.notBound) }
            ended = [binding]
        } else {
            guard !smb.bindings.isEmpty else { throw Refused(.notBound) }
            ended = smb.sortedBindings
        }
        // First, because it may be refused: nothing has changed then.
        let replacement = ended.contains(where: \.isMapped) ? try self.replace(id) : nil
        for binding in ended {
            self.takeBack(id, binding.peer)
        }
        return .replaced(replacement)
    }

    /// The owner takes offers or bindings back, and there is no memory to replace what the peer has: the SMB ends. Nobody
    /// keeps a right because the pool is full.
    mutating func insistOnUnbinding(
        _ caller: CallerID, _ token: OwnerToken, _ peer: SMGID?
    ) throws(Refused) -> ControlResponse {
        do throws(Refused) {
            return try self.unbind(caller, token, peer)
        } catch {
            guard error.code == .poolExhausted || error.code == .quotaExceeded else { throw error }
            self.disown(try self.owned(caller, token).id)
            return .ended(error.text)
        }
    }

    /// The owner wants memory that nobody else has. Peers that hold the old one are unbound; offers stay.
    mutating func renew(_ caller: CallerID, _ token: OwnerToken) throws(Refused) -> ControlResponse {
        let (id, smb) = try self.owned(caller, token)
        guard smb.isTainted || smb.bindings.values.contains(where: \.isMapped) else { return .replaced(nil) }
        return .replaced(try self.replace(id))
    }

    /// The owner gives the SMB back (A26). A peer that accepted keeps the memory until it lets go, but no right to it.
    mutating func destroy(_ caller: CallerID, _ token: OwnerToken) throws(Refused) {
        self.disown(try self.owned(caller, token).id)
    }

    /// Who has the SMB, and who has it on offer.
    mutating func bindings(_ caller: CallerID, _ token: OwnerToken) throws(Refused) -> ControlResponse {
        let smb = try self.owned(caller, token).smb
        return .bindings(
            smb.sortedBindings.map { BindingRecord(peer: $0.peer, isAccepted: $0.isAccepted) }, isTainted: smb.isTainted
        )
    }

    // MARK: Who may

    /// The SMB that `token` gives `caller` the owner's right to.
    mutating func owned(
        _ caller: CallerID, _ token: OwnerToken
    ) throws(Refused) -> (id: SMBID, smb: SharedMemoryBuffer) {
        guard let id = self.smbsByOwner[token], let smb = self.smbs[id], smb.owner.caller == caller
        else { throw Refused(.badToken) }
        self.object = self.auditObject(smb, id, peer: self.object.peer)
        return (id, smb)
    }

    /// The SMB that was offered to `caller` under this number by `from`.
    private mutating func offered(
        _ caller: CallerID, _ offer: OfferToken, _ from: SMGID
    ) throws(Refused) -> (id: SMBID, smb: SharedMemoryBuffer, binding: SharedMemoryBuffer.Binding) {
        guard let id = self.bindingsByOffer[offer], let smb = self.smbs[id.smb], let binding = smb.bindings[id.peer],
            binding.caller == caller, smb.owner.address == from
        else { throw Refused(.badToken) }
        self.object = self.auditObject(smb, id.smb, peer: id.peer)
        return (id.smb, smb, binding)
    }
}
