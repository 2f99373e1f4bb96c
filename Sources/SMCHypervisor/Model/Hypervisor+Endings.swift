internal import SMCWire

/// What gives, replaces and takes back: blocks, bindings, pairs.
extension Hypervisor {
    // MARK: Blocks

    func fileByteCount(_ block: BlockID) -> Int {
        self.pools.fileByteCount(block)
    }

    /// Gives the owner another block with the same contents. Peers that hold the old one lose their binding.
    ///
    /// - Returns: the size of the new block, if its descriptor goes with the answer.
    mutating func replace(_ id: SMBID) throws(Refused) -> Int? {
        guard let smb = self.smbs[id] else { throw Refused(.badToken) }
        guard let vlan = self.vlans[smb.vlan], let session = self.sessions[smb.owner.caller] else {
            throw Refused(.badToken)
        }
        let new = try self.pools.replace(smb.block, limits: self.limits(session, vlan))
        self.effects.append(.replace(smb.block, with: new))
        if smb.owner.isMapped { self.effects.append(.sendBlock(new)) }
        for binding in smb.sortedBindings where binding.isMapped {
            self.takeBack(id, binding.peer)
        }
        self.smbs[id]?.block = new
        self.smbs[id]?.isTainted = false
        self.effects.append(.reclaim(smb.block))
        return smb.owner.isMapped ? self.fileByteCount(new) : nil
    }

    private mutating func giveBack(_ block: BlockID) {
        self.pools.giveBack(block)
        self.effects.append(.reclaim(block))
    }

    // MARK: Pairs

    mutating func createPair(_ key: Pair.Key) -> PairID {
        let id = PairID(self.newNumber())
        self.pairsByKey[key] = id
        self.pairs[id] = Pair(key)
        self.addresses[key.low]?.pairs.insert(id)
        self.addresses[key.high]?.pairs.insert(id)
        self.effects.append(.createPair(id))
        return id
    }

    /// Why a pair ends.
    enum PairEnd {
        case lastBindingEnded, addressEnded, rightRevoked
    }

    mutating func endPair(_ id: PairID, _ end: PairEnd) {
        guard let pair = self.pairs.removeValue(forKey: id) else { return }
        self.pairsByKey[pair.key] = nil
        self.addresses[pair.key.low]?.pairs.remove(id)
        self.addresses[pair.key.high]?.pairs.remove(id)
        switch end {
        case .lastBindingEnded: break
        case .addressEnded: self.effects.append(.markGone(id))
        case .rightRevoked: self.effects.append(.markRevoked(id))
        }
        self.effects.append(.dropPair(id))
    }

    mutating func signalRecord(
        _ token: SignalToken, _ pair: PairID, _ bit: Int, _ key: Pair.Key, _ holder: SMGID, _ isFirst: Bool
    ) -> SignalRecord {
        if isFirst {
            let outgoing = key.direction(to: key.counterpart(of: holder))
            self.effects.append(.sendPair(pair, incoming: key.direction(to: holder), outgoing: outgoing))
        }
        return SignalRecord(token: token, pair: pair.rawValue, bit: bit, hasNewPair: isFirst)
    }

    /// Interrupts one side of a binding about its SMB.
    mutating func notify(_ binding: SharedMemoryBuffer.Binding, _ address: SMGID) {
        guard let pair = self.pairs[binding.pair] else { return }  // Its end was told already.
        self.effects.append(.notify(binding.pair, pair.key.direction(to: address), bit: binding.bit))
    }

    // MARK: Bindings

    /// The owner, or the owner's end, takes a binding from a peer, who is told.
    mutating func takeBack(_ id: SMBID, _ peer: SMGID) {
        guard let binding = self.smbs[id]?.bindings[peer] else { return }
        if binding.isAccepted {
            self.notify(binding, peer)
            self.consequence(.unbind, of: id, peer: peer)
        }
        self.endBinding(id, peer)
    }

    /// The peer has no right to the SMB any more: tokens die, the bit is free, a pair without bindings ends.
    mutating func endBinding(_ id: SMBID, _ peer: SMGID) {
        guard let binding = self.smbs[id]?.bindings.removeValue(forKey: peer), let smb = self.smbs[id] else { return }
        self.bindingsBySignal[binding.ownerSignal] = nil
        switch binding.stage {
        case .offered(let offer): self.bindingsByOffer[offer] = nil
        case .accepted(let buffer, let signal, let isMapped):
            self.bindingsByBuffer[buffer] = nil
            self.bindingsBySignal[signal] = nil
            self.sessions[binding.caller]?.endedBuffers.insert(buffer)
            if isMapped { self.smbs[id]?.isTainted = true }
        }
        self.addresses[peer]?.bound.remove(id)
        // It may have ended already, with one of its partitions.
        self.pairs[binding.pair]?.giveBitBack(binding.bit)
        self.pairs[binding.pair]?.endGrant(of: smb.owner.address)
        if binding.isAccepted { self.pairs[binding.pair]?.endGrant(of: peer) }
        if self.pairs[binding.pair]?.bindingCount == 0 { self.endPair(binding.pair, .lastBindingEnded) }
    }

    /// The SMB ends, with all its bindings. Its block comes back when nobody has it any more.
    mutating func disown(_ id: SMBID) {
        guard let smb = self.smbs[id] else { return }
        for binding in smb.sortedBindings {
            self.takeBack(id, binding.peer)
        }
        self.smbsByOwner[smb.owner.token] = nil
        self.addresses[smb.owner.address]?.owned.remove(id)
        self.smbs[id] = nil
        self.giveBack(smb.block)
    }
}
