import SMCHypervisor
import SMCWire

/// Who may do what at most, as far as the answers told: whatever is granted must be in here. That a right has ended
/// because of somebody else's instruction the holder is not told, so some in here may be worth nothing any more.
struct Rights {
    struct Owner {
        var caller: CallerID
        var vlan: VLANID
    }

    var administrators: Set<CallerID> = []
    var homes: [SMGID: (caller: CallerID, vlan: VLANID)] = [:]
    var owners: [OwnerToken: Owner] = [:]
    var offers: [OfferToken: (owner: OwnerToken, peer: CallerID)] = [:]
    var buffers: [BufferToken: CallerID] = [:]
    var signals: [SignalToken: CallerID] = [:]
    var pairs: Set<PairID> = []
    /// Blocks that were sent to somebody, and blocks on their way back.
    var lent: Set<BlockID> = []
    var reclaiming: Set<BlockID> = []

    mutating func ended(_ caller: CallerID) {
        self.administrators.remove(caller)
        self.homes = self.homes.filter { $0.value.caller != caller }
        for token in self.owners.filter({ $0.value.caller == caller }).keys { self.ended(token) }
        self.offers = self.offers.filter { $0.value.peer != caller }
        self.buffers = self.buffers.filter { $0.value != caller }
        self.signals = self.signals.filter { $0.value != caller }
    }

    /// Its offers end with it.
    mutating func ended(_ token: OwnerToken) {
        self.owners[token] = nil
        self.offers = self.offers.filter { $0.value.owner != token }
    }

    func include(_ access: BufferAccess, _ caller: CallerID) -> Bool {
        switch access {
        case .owner(let token): self.owners[token]?.caller == caller
        case .peer(let token): self.buffers[token] == caller
        }
    }
}

extension SessionFuzzer {
    mutating func ask(_ request: ControlRequest, _ caller: CallerID) {
        let before = self.books()
        let outcome = self.model.perform(.request(request), by: caller)
        let packet = outcome.response.encoded(requestID: 7)
        self.expect(packet.count <= ControlLimits.packetByteCount, "an answer of \(packet.count) bytes")
        let again = (try? ControlHeader(decoding: packet)).flatMap {
            try? ControlResponse(decoding: packet, header: $0)
        }
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
        switch (request, outcome.response) {
        case (.join, .joined(let membership)): self.note(membership.addresses, caller)
        case (.establish, .addresses(let addresses)): self.note(addresses, caller)
        case (.queryCommonCEC(let address), .commonCEC(.common(let vlan))):
            let isShared = self.rights.homes.values.contains { $0.caller == caller && $0.vlan == vlan }
            self.expect(self.rights.homes[address]?.vlan == vlan && isShared, "a query looks across VLANs")
        case (.createSMB(let size, let address, _), .created(let record)):
            guard let home = self.rights.homes[address], home.caller == caller else {
                return self.expect(false, "an SMB for an address of somebody else")
            }
            self.expect(record.ringByteCount >= size, "too small")
            self.rights.owners[record.owner] = Rights.Owner(caller: caller, vlan: home.vlan)
            self.owners.append(record.owner)
            for block in Self.sent(outcome) { self.noteNew(block) }
        case (.bind(let token, let peer), .bound(let offer, let signal, _)):
            guard let owner = self.rights.owners[token], owner.caller == caller else {
                return self.expect(false, "bound without the right to it")
            }
            guard let home = self.rights.homes[peer], home.vlan == owner.vlan else {
                return self.expect(false, "bound across VLANs")
            }
            self.rights.offers[offer] = (token, home.caller)
            self.offers.append(offer)
            self.note(signal.token, caller)
        case (.accept(let number, _, _), .accepted(let record)):
            let offer = self.rights.offers.removeValue(forKey: number)
            self.expect(offer?.peer == caller, "accepted without the right to it")
            self.rights.buffers[record.buffer] = caller
            self.buffers.append(record.buffer)
            self.note(record.signal.token, caller)
            for block in Self.sent(outcome) {
                self.expect(!self.rights.reclaiming.contains(block), "a block is lent that is on its way back")
                self.rights.lent.insert(block)
            }
        default: self.noteRest(request, outcome, caller)
        }
    }

    private static func sent(_ outcome: Outcome) -> [BlockID] {
        outcome.effects.compactMap { effect in
            if case .sendBlock(let block) = effect { block } else { nil }
        }
    }

    private mutating func note(_ addresses: [Membership.Address], _ caller: CallerID) {
        for address in addresses {
            self.expect(self.rights.homes[address.smgid] == nil, "an address is given twice")
            self.rights.homes[address.smgid] = (caller, address.vlan)
            self.addresses.append(address.smgid)
        }
    }

    private mutating func note(_ signal: SignalToken, _ caller: CallerID) {
        self.rights.signals[signal] = caller
        self.signals.append(signal)
    }

    /// A block that nobody may have at the moment.
    private mutating func noteNew(_ block: BlockID) {
        self.expect(!self.rights.reclaiming.contains(block), "a block is lent before it is clean")
        self.expect(self.rights.lent.insert(block).inserted, "a block is in two SMBs")
    }

    private mutating func noteRest(_ request: ControlRequest, _ outcome: Outcome, _ caller: CallerID) {
        let owner: OwnerToken?
        switch request {
        case .unbindOwner(let token, _), .renew(let token), .destroy(let token), .bindings(let token): owner = token
        default: owner = nil
        }
        if let owner { self.expect(self.rights.owners[owner]?.caller == caller, "\(request) of somebody else's SMB") }
        switch request {
        case .reject(let number, _):
            self.expect(
                self.rights.offers.removeValue(forKey: number)?.peer == caller, "rejected somebody else's offer")
        case .unbindBuffer(let token):
            self.expect(self.rights.buffers.removeValue(forKey: token) == caller, "unbound somebody else's SMB")
        case .destroy(let token): self.rights.ended(token)
        case .read(let access, _, _), .write(let access, _, _), .compareAndMove(let access, _, _, _):
            self.expect(self.rights.include(access, caller), "\(request) without the right to it")
        case .signal(let token): self.expect(self.rights.signals[token] == caller, "signalled for somebody else")
        case .withdraw(let address, _):
            self.expect(self.rights.homes.removeValue(forKey: address)?.caller == caller, "withdrew another's address")
        case .administer:
            self.expect(self.rights.administrators.contains(caller), "\(request) without a role")
        default: break
        }
        let gives = Self.sent(outcome).count + (owner == nil ? 0 : -1)
        self.expect(gives <= 0, "\(request) gives memory")
    }

    mutating func follow(_ outcome: Outcome) {
        for effect in outcome.effects {
            switch effect {
            case .createPair(let id): self.expect(self.rights.pairs.insert(id).inserted, "a pair is made twice")
            case .dropPair(let id): self.expect(self.rights.pairs.remove(id) != nil, "an unknown pair is dropped")
            case .sendPair(let id, _, _), .markGone(let id), .markRevoked(let id), .notify(let id, _, _),
                .takeStatusBits(let id, _):
                self.expect(self.rights.pairs.contains(id), "an unknown pair is used")
            case .replace(_, let new): self.noteNew(new)
            case .sendBlock: break
            case .keepAdopted, .dropAdopted: self.expect(false, "memory is adopted that nobody brought")
            case .makeBlocks, .dropBlocks, .readSettings: self.expect(false, "something is done that nobody asked for")
            case .read(let block, let offset, let byteCount): self.noteUse(block, offset, byteCount)
            case .write(let block, let offset, let bytes): self.noteUse(block, offset, bytes.count)
            case .compareAndMove(let block, let offset, _, _): self.noteUse(block, offset, 8)
            case .reclaim(let block):
                self.rights.lent.remove(block)
                self.expect(self.rights.reclaiming.insert(block).inserted, "a block comes back twice")
            }
        }
    }

    /// The shell does what it is told: a range outside of the block would be its end.
    private mutating func noteUse(_ block: BlockID, _ offset: Int, _ byteCount: Int) {
        self.expect(!self.rights.reclaiming.contains(block), "a block is used that is on its way back")
        let size = block.rawValue < 5 ? 116 : 1016
        self.expect(offset >= 0 && byteCount > 0 && byteCount <= size - offset, "\(offset)+\(byteCount) of \(size)")
    }
}
