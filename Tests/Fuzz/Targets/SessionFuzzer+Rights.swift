import SMCHypervisor
import SMCWire

/// Who may do what, as far as the answers told.
struct Rights {
    struct Owner {
        var caller: CallerID
        var block: BlockID
        var vlan: VLANID
    }
    struct Offer {
        var owner: OwnerToken
        var peer: CallerID
        var block: BlockID
    }
    struct Holder {
        var caller: CallerID
        var block: BlockID
    }

    var homes: [SMGID: (caller: CallerID, vlan: VLANID)] = [:]
    var owners: [OwnerToken: Owner] = [:]
    var offers: [OfferToken: Offer] = [:]
    var buffers: [BufferToken: Holder] = [:]
    var pairs: Set<PairID> = []
    /// Blocks of SMBs, and blocks on their way back.
    var lent: Set<BlockID> = []
    var reclaiming: Set<BlockID> = []

    mutating func ended(_ caller: CallerID) {
        self.homes = self.homes.filter { $0.value.caller != caller }
        for token in self.owners.filter({ $0.value.caller == caller }).keys { self.ended(token) }
        self.offers = self.offers.filter { $0.value.peer != caller }
        self.buffers = self.buffers.filter { $0.value.caller != caller }
    }

    /// Its offers end with it.
    mutating func ended(_ token: OwnerToken) {
        self.owners[token] = nil
        self.offers = self.offers.filter { $0.value.owner != token }
    }

    func isHeld(_ block: BlockID) -> Bool {
        self.owners.values.contains { $0.block == block } || self.buffers.values.contains { $0.block == block }
    }
}

extension SessionFuzzer {
    mutating func ask(_ request: ControlRequest, _ caller: CallerID) {
        let before = self.books()
        let outcome = self.model.perform(.request(request), by: caller)
        let packet = outcome.response.encoded(requestID: 7)
        self.expect(packet.count <= ControlLimits.packetByteCount, "an answer of \(packet.count) bytes")
        let again = (try? ControlHeader(decoding: packet)).flatMap { try? ControlResponse(decoding: packet, header: $0) }
        self.expect(again == outcome.response, "\(outcome.response) is read as \(String(describing: again))")
        if case .refused(let code, let text) = outcome.response {
            self.expect(outcome.effects.isEmpty, "\(request) is refused, and has effects")
            self.expect(self.books() == before, "\(request) is refused, and changes the books")
            self.expect(!text.isEmpty && text.utf8.count <= ControlLimits.refusalTextByteCount, "\(code) says: \(text)")
            return
        }
        self.note(request, outcome, caller)
        self.follow(outcome)
    }

    private mutating func note(_ request: ControlRequest, _ outcome: Outcome, _ caller: CallerID) {
        let sent = outcome.effects.compactMap { effect in
            if case .sendBlock(let block) = effect { block } else { nil }
        }
        switch (request, outcome.response) {
        case (.join, .joined(let membership)):
            for address in membership.addresses {
                self.expect(self.rights.homes[address.smgid] == nil, "an address is given twice")
                self.rights.homes[address.smgid] = (caller, address.vlan)
                self.addresses.append(address.smgid)
            }
        case (.queryCommonCEC(let address), .commonCEC(.common(let vlan))):
            let isShared = self.rights.homes.values.contains { $0.caller == caller && $0.vlan == vlan }
            self.expect(self.rights.homes[address]?.vlan == vlan && isShared, "a query looks across VLANs")
        case (.createSMB(let size, let address), .created(let record)):
            guard sent.count == 1, let home = self.rights.homes[address], home.caller == caller else {
                return self.expect(false, "an SMB for an address of somebody else")
            }
            self.expect(record.ringByteCount >= size, "too small")
            self.expect(!self.rights.lent.contains(sent[0]), "a block is in two SMBs")
            self.expect(!self.rights.reclaiming.contains(sent[0]), "a block is lent before it is clean")
            self.rights.lent.insert(sent[0])
            self.rights.owners[record.owner] = Rights.Owner(caller: caller, block: sent[0], vlan: home.vlan)
            self.owners.append(record.owner)
        case (.bind(let token, let peer), .bound(let offer, _)):
            guard let owner = self.rights.owners[token], owner.caller == caller, sent.isEmpty else {
                return self.expect(false, "bound without the right to it")
            }
            guard let home = self.rights.homes[peer], home.vlan == owner.vlan else {
                return self.expect(false, "bound across VLANs")
            }
            self.rights.offers[offer] = Rights.Offer(owner: token, peer: home.caller, block: owner.block)
            self.offers.append(offer)
        case (.accept(let number, _), .accepted(let record)):
            guard let offer = self.rights.offers.removeValue(forKey: number), offer.peer == caller, sent == [offer.block]
            else { return self.expect(false, "accepted without the right to it") }
            self.rights.buffers[record.buffer] = Rights.Holder(caller: caller, block: offer.block)
            self.buffers.append(record.buffer)
        default: self.noteEnd(request, outcome, caller)
        }
    }

    private mutating func noteEnd(_ request: ControlRequest, _ outcome: Outcome, _ caller: CallerID) {
        let gives = outcome.effects.contains { effect in
            switch effect {
            case .sendBlock, .sendPair, .createPair: true
            default: false
            }
        }
        self.expect(!gives, "\(request) gives something")
        switch request {
        case .reject(let number, _):
            self.expect(self.rights.offers.removeValue(forKey: number)?.peer == caller, "rejected somebody else's offer")
        case .unbindBuffer(let token):
            self.expect(self.rights.buffers.removeValue(forKey: token)?.caller == caller, "unbound somebody else's SMB")
        case .unbindOwner(let token):
            self.expect(self.rights.owners[token]?.caller == caller, "took somebody else's SMB back")
            self.rights.offers = self.rights.offers.filter { $0.value.owner != token }
        case .destroy(let token):
            self.expect(self.rights.owners[token]?.caller == caller, "destroyed somebody else's SMB")
            self.rights.ended(token)
        default: break
        }
    }

    mutating func follow(_ outcome: Outcome) {
        for effect in outcome.effects {
            switch effect {
            case .createPair(let id): self.expect(self.rights.pairs.insert(id).inserted, "a pair is made twice")
            case .dropPair(let id): self.expect(self.rights.pairs.remove(id) != nil, "an unknown pair is dropped")
            case .sendPair(let id, _, _), .markGone(let id):
                self.expect(self.rights.pairs.contains(id), "an unknown pair is used")
            case .sendBlock: break
            case .reclaim(let block):
                self.expect(self.rights.lent.remove(block) != nil, "a block comes back that was not lent")
                self.expect(!self.rights.isHeld(block), "a block is taken from somebody who has a right to it")
                self.expect(self.rights.reclaiming.insert(block).inserted, "a block comes back twice")
            }
        }
        // Whoever has a right must have the memory, and nobody else.
        for block in self.rights.lent {
            self.expect(self.rights.isHeld(block), "block \(block.rawValue) is held by nobody and was not given back")
        }
    }
}
