import SMCHypervisor
import SMCWire

/// Steps of partitions.
extension ModelRun {
    /// A live SMB, or nil when there is none.
    private func smb(_ number: UInt16) -> ReferenceBooks.SMB? {
        self.books.smbs.isEmpty ? nil : self.books.smbs[Int(number) % self.books.smbs.count]
    }

    private func binding(_ number: UInt16) -> (smb: ReferenceBooks.SMB, binding: ReferenceBooks.Binding)? {
        let all = self.books.smbs.flatMap { smb in smb.bindings.map { (smb: smb, binding: $0) } }
        return all.isEmpty ? nil : all[Int(number) % all.count]
    }

    /// Mostly the rightful one, sometimes anybody.
    private func mostly(_ rightful: CallerID?, _ number: UInt16) -> CallerID? {
        number % 4 > 0 ? rightful ?? self.caller(number / 4)?.id : self.caller(number / 4)?.id
    }

    /// The owner token of a live SMB, or one that was seen once.
    private func ownerToken(_ number: UInt16) -> OwnerToken {
        if number % 4 > 0, let smb = self.smb(number / 4) { return smb.token }
        return self.owners[Int(number / 4) % self.owners.count]
    }

    private func address(_ number: UInt16) -> SMGID {
        if number % 4 > 0, let caller = self.caller(number / 4), !caller.addresses.isEmpty {
            return caller.addresses[Int(number / 64) % caller.addresses.count].smgid
        }
        return self.addresses[Int(number / 4) % self.addresses.count]
    }

    /// The SMB that a token gives a caller, by the reference books.
    private func owned(_ token: OwnerToken, _ caller: CallerID) -> ReferenceBooks.SMB? {
        self.books.smbs.first { $0.token == token && $0.owner.caller.id == caller }
    }

    // MARK: Addresses

    mutating func establish(_ choices: [UInt16]) {
        guard let caller = self.caller(choices[0]) else { return }
        let vlan = ReferenceBooks.vlanIDs[Int(choices[1]) % ReferenceBooks.vlanIDs.count]
        let isGranted =
            self.books.mayEnter(caller.name, isDefined: caller.isDefined, vlan)
            && caller.addresses.count < ControlLimits.addressesPerPartition
        guard let outcome = self.perform(.establish(vlan), caller.id, isGranted: isGranted) else { return }
        guard case .addresses(let new) = outcome.response, new.count == 1, new[0].vlan == vlan else {
            return self.expect(false, "another address was established")
        }
        self.add(new[0], caller)
        self.check(outcome, of: caller.id)
    }

    mutating func withdraw(_ choices: [UInt16]) {
        let smgid = self.address(choices[0])
        let address = self.books.addresses[smgid]
        guard let caller = self.mostly(address?.caller.id, choices[1]) else { return }
        let isForced = choices[2] % 2 == 0
        let isUsed = self.books.smbs.contains { smb in
            smb.owner.smgid == smgid || smb.bindings.contains { $0.peer.smgid == smgid }
        }
        let isOwn = address?.caller.id == caller
        let outcome = self.perform(
            .withdraw(smgid, isForced: isForced), caller, isGranted: isOwn && (isForced || !isUsed),
            code: isOwn ? .addressInUse : .notOwnAddress)
        guard let outcome, let address else { return }
        self.books.end(address)
        self.check(outcome, of: caller)
    }

    mutating func query(_ choices: [UInt16]) {
        guard let caller = self.caller(choices[0]) else { return }
        let peer = self.address(choices[1])
        let target = self.books.addresses[peer]
        guard let outcome = self.perform(.queryCommonCEC(peer), caller.id, isGranted: true),
            case .commonCEC(let answer) = outcome.response
        else { return }
        let isCommon = target.map { found in caller.addresses.contains { $0.vlan == found.vlan } } ?? false
        switch answer {
        case .common(let vlan):
            self.expect(isCommon && target?.vlan == vlan && self.books.isEnabled(vlan), "reachable across VLANs")
        case .notCommon(let code, _):
            let expected: HypervisorRefusal =
                target == nil ? .unknownPartition : isCommon ? .functionDisabled : .notOnCommonVLAN
            self.expect(code == expected, "not common: \(code), not \(expected)")
        }
    }

    // MARK: SMBs

    mutating func create(_ choices: [UInt16]) {
        let smgid = self.address(choices[0])
        let address = self.books.addresses[smgid]
        guard let id = self.mostly(address?.caller.id, choices[1]) else { return }
        let size = [1, 100, 101, 1000, 1001][Int(choices[2]) % 5]
        let isMapped = choices[3] % 4 > 0
        var isGranted = false
        if let address, address.caller.id == id, self.books.isEnabled(address.vlan) {
            isGranted = self.books.canTake(size, isExact: false, address.caller, address.vlan)
        }
        let request = ControlRequest.createSMB(ringByteCount: size, on: smgid, isMapped: isMapped)
        guard let outcome = self.perform(request, id, isGranted: isGranted), let address,
            case .created(let record) = outcome.response
        else { return }
        self.expect(record.ringByteCount >= size && record.isMapped == isMapped, "another SMB than was asked for")
        // Without a descriptor the block cannot be told from the effects: the first free one of its class.
        let candidates = self.books.blocks(self.books.pool(address.vlan)).filter {
            self.books.uses[$0] == nil && self.books.ringByteCount($0) == record.ringByteCount
        }
        guard let block = self.takenBlock(outcome, record.owner, id, candidates) else { return }
        let smb = ReferenceBooks.SMB(address, record, block)
        self.books.smbs.append(smb)
        self.books.uses[block] = .init(vlan: address.vlan, account: self.books.account(address.caller))
        self.keep(record.owner, in: \.owners)
        self.check(outcome, of: id, sent: isMapped ? smb : nil)
    }

    /// The block that an answer is about, which must have been free. Of an SMB that is not mapped, SM Move tells.
    private mutating func takenBlock(
        _ outcome: Outcome, _ token: OwnerToken, _ caller: CallerID, _ candidates: [BlockID]
    ) -> BlockID? {
        var found: BlockID?
        for effect in outcome.effects {
            if case .sendBlock(let block) = effect { found = block }
            if case .replace(_, let block) = effect { found = block }
        }
        if found == nil {
            let probe = self.model.perform(.request(.read(.owner(token), offset: 0, byteCount: 1)), by: caller)
            if case .read(let block, _, _)? = probe.effects.first { found = block }
        }
        guard let block = found, candidates.contains(block) else {
            self.expect(false, "a block was used that is not free: \(String(describing: found))")
            return nil
        }
        return block
    }

    /// Whether the SMB's memory can be replaced; and what changes when it is.
    private func canReplace(_ smb: ReferenceBooks.SMB) -> Bool {
        self.books.canTake(smb.ringByteCount, isExact: true, smb.owner.caller, smb.owner.vlan)
    }

    private mutating func replace(_ smb: ReferenceBooks.SMB, _ outcome: Outcome) {
        let candidates = self.books.blocks(self.books.pool(smb.owner.vlan)).filter {
            self.books.uses[$0] == nil && self.books.ringByteCount($0) == smb.ringByteCount
        }
        guard let new = self.takenBlock(outcome, smb.token, smb.owner.caller.id, candidates) else { return }
        self.expect(outcome.effects.contains(.replace(smb.block, with: new)), "the contents are not copied")
        for binding in smb.bindings where binding.accepted?.isMapped == true {
            self.books.end(binding, of: smb)
        }
        self.books.giveBack(smb.block)
        self.books.uses[new] = .init(vlan: smb.owner.vlan, account: self.books.account(smb.owner.caller))
        smb.block = new
    }

    mutating func bind(_ choices: [UInt16]) {
        let token = self.ownerToken(choices[0])
        let live = self.books.smbs.first { $0.token == token }
        guard let id = self.mostly(live?.owner.caller.id, choices[1]) else { return }
        let near = self.books.addresses.values.filter { $0.vlan == live?.owner.vlan }
            .sorted { $0.smgid.gid < $1.smgid.gid }
        let peer =
            choices[2] % 4 > 0 && !near.isEmpty
            ? near[Int(choices[2] / 4) % near.count].smgid : self.address(choices[3])
        let smb = self.owned(token, id)
        var isGranted = false
        var isReplaced = false
        if let smb, let target = self.books.addresses[peer], target.vlan == smb.owner.vlan,
            self.books.isEnabled(smb.owner.vlan), !smb.bindings.contains(where: { $0.peer === target })
        {
            let shared = self.books.smbs.flatMap { other in
                other.bindings.filter { Set([other.owner.smgid, $0.peer.smgid]) == Set([smb.owner.smgid, peer]) }
            }
            isReplaced = self.books.isTainted(smb)
            isGranted =
                shared.count < ReferenceBooks.bitsPerDirection
                && (!isReplaced || (!self.books.hasMappedPeer(smb) && self.canReplace(smb)))
        }
        let outcome = self.perform(.bind(token, to: peer), id, isGranted: isGranted, code: smb == nil ? .badToken : nil)
        guard let outcome, let smb, let target = self.books.addresses[peer],
            case .bound(let offer, let signal, let replacement) = outcome.response
        else { return }
        self.expect((replacement != nil) == (isReplaced && smb.isMapped), "memory replaced, or not, against the rule")
        if isReplaced { self.replace(smb, outcome) }
        let isTaken = self.books.smbs.contains { other in
            other.bindings.contains { $0.pair == signal.pair && $0.bit == signal.bit }
        }
        self.expect(!isTaken && (0..<ReferenceBooks.bitsPerDirection).contains(signal.bit), "a bit is used twice")
        let binding = ReferenceBooks.Binding(target, offer, signal)
        smb.bindings.append(binding)
        let isNew = self.grant(signal, smb.owner.smgid)
        self.books.pairs[signal.pair, default: 0] += 1
        self.keep(offer, in: \.offers)
        self.keep(signal.token, in: \.signals)
        self.keep(signal.pair, in: \.pairs)
        self.check(
            outcome, of: id, sent: replacement == nil ? nil : smb, pair: signal.pair, isNewPair: isNew)
    }

    /// Whether a side gets the pair's descriptors with this grant.
    private mutating func grant(_ signal: SignalRecord, _ holder: SMGID) -> Bool {
        let count = self.books.grants[signal.pair]?[holder] ?? 0
        self.books.grants[signal.pair, default: [:]][holder] = count + 1
        self.expect(signal.hasNewPair == (count == 0), "descriptors of a pair come twice, or not at all")
        return count == 0
    }

    mutating func answer(_ choices: [UInt16], accepts: Bool) {
        let open = self.books.smbs.flatMap { smb in smb.bindings.filter { $0.accepted == nil }.map(\.offer) }
        let isLive = choices[0] % 4 > 0 && !open.isEmpty
        let offer =
            isLive ? open[Int(choices[0] / 4) % open.count] : self.offers[Int(choices[0] / 4) % self.offers.count]
        let found = self.books.smbs.lazy.flatMap { smb in smb.bindings.map { (smb, $0) } }
            .first { $0.1.offer == offer && $0.1.accepted == nil }
        guard let id = self.mostly(found?.1.peer.caller.id, choices[1]) else { return }
        let owner = choices[2] % 8 > 0 ? found?.0.owner.smgid ?? self.addresses[0] : self.addresses[0]
        let isMapped = choices[3] % 4 > 0
        let mayAnswer = found.map { $0.1.peer.caller.id == id && $0.0.owner.smgid == owner } ?? false
        guard accepts else {
            let outcome = self.perform(.reject(offer, from: owner), id, isGranted: mayAnswer, code: .badToken)
            guard let outcome, let (smb, binding) = found else { return }
            self.books.end(binding, of: smb)
            return self.check(outcome, of: id)
        }
        let isGranted =
            mayAnswer && found.map { self.books.isEnabled($0.0.owner.vlan) && !self.books.isTainted($0.0) } == true
        let request = ControlRequest.accept(offer, from: owner, isMapped: isMapped)
        let outcome = self.perform(request, id, isGranted: isGranted, code: mayAnswer ? nil : .badToken)
        guard let outcome, let (smb, binding) = found, case .accepted(let record) = outcome.response else { return }
        let isSame = record.signal.bit == binding.bit && record.signal.pair == binding.pair
        self.expect(isSame && record.signal.token != binding.ownerSignal, "the sides' signals do not match")
        binding.accepted = (record.buffer, record.signal.token, isMapped)
        if isMapped { self.books.holders[smb.block, default: []].insert(binding.peer.smgid) }
        self.expect(!self.books.isTainted(smb), "memory is sent that somebody without a right to it may have")
        let isNew = self.grant(record.signal, binding.peer.smgid)
        self.keep(record.buffer, in: \.buffers)
        self.keep(record.signal.token, in: \.signals)
        self.check(outcome, of: id, sent: isMapped ? smb : nil, pair: binding.pair, isNewPair: isNew)
    }

    mutating func unbindBuffer(_ choices: [UInt16]) {
        let live = self.books.smbs.flatMap { smb in smb.bindings.compactMap { $0.accepted?.buffer } }
        let isLive = choices[0] % 4 > 0 && !live.isEmpty
        let token =
            isLive ? live[Int(choices[0] / 4) % live.count] : self.buffers[Int(choices[0] / 4) % self.buffers.count]
        let found = self.books.smbs.lazy.flatMap { smb in smb.bindings.map { (smb, $0) } }
            .first { $0.1.accepted?.buffer == token }
        guard let id = self.mostly(found?.1.peer.caller.id, choices[1]) else { return }
        let caller = self.books.callers.first { $0.id == id }
        let isEnded = caller?.ended.contains(token) == true
        let isGranted = isEnded || found?.1.peer.caller.id == id
        guard let outcome = self.perform(.unbindBuffer(token), id, isGranted: isGranted, code: .badToken) else {
            return
        }
        if isEnded {
            caller?.ended.remove(token)
        } else if let (smb, binding) = found {
            self.books.end(binding, of: smb)
            caller?.ended.remove(token)
        }
        self.check(outcome, of: id)
    }

    mutating func unbindOwner(_ choices: [UInt16]) {
        let token = self.ownerToken(choices[0])
        let live = self.books.smbs.first { $0.token == token }
        guard let id = self.mostly(live?.owner.caller.id, choices[1]) else { return }
        let smb = self.owned(token, id)
        let some = smb.flatMap { $0.bindings.isEmpty ? nil : $0.bindings[Int(choices[3]) % $0.bindings.count] }
        let peer = choices[2] % 3 == 0 ? nil : some?.peer.smgid ?? self.address(choices[3])
        let ended = smb?.bindings.filter { peer == nil || $0.peer.smgid == peer } ?? []
        let isReplaced = ended.contains { $0.accepted?.isMapped == true }
        let isGranted = smb.map { !ended.isEmpty && (!isReplaced || self.canReplace($0)) } ?? false
        let request = ControlRequest.unbindOwner(token, from: peer)
        let first = self.perform(request, id, isGranted: isGranted, code: smb == nil ? .badToken : nil)
        // For want of memory only: then the right ends all the same, and the SMB with it.
        let mustEnd = smb != nil && !ended.isEmpty && !isGranted
        let outcome =
            first ?? self.perform(request, id, isGranted: mustEnd, code: smb == nil ? .badToken : nil, insists: true)
        if mustEnd, let smb, let outcome {
            guard case .ended = outcome.response else { return self.expect(false, "a right outlives its end") }
            self.endedCount += 1
            self.books.end(smb)
            return self.check(outcome, of: id)
        }
        guard let outcome, let smb, case .replaced(let replacement) = outcome.response else { return }
        self.expect((replacement != nil) == (isReplaced && smb.isMapped), "memory replaced, or not, against the rule")
        if isReplaced { self.replace(smb, outcome) }
        for binding in ended where smb.bindings.contains(where: { $0 === binding }) {
            self.books.end(binding, of: smb)
        }
        if isReplaced { self.expect(!self.books.isTainted(smb), "a former peer still has the memory") }
        self.check(outcome, of: id, sent: replacement == nil ? nil : smb)
    }

    mutating func renew(_ choices: [UInt16]) {
        let token = self.ownerToken(choices[0])
        let live = self.books.smbs.first { $0.token == token }
        guard let id = self.mostly(live?.owner.caller.id, choices[1]) else { return }
        let smb = self.owned(token, id)
        let isReplaced = smb.map { self.books.isTainted($0) || self.books.hasMappedPeer($0) } ?? false
        let isGranted = smb.map { !isReplaced || self.canReplace($0) } ?? false
        let outcome = self.perform(.renew(token), id, isGranted: isGranted, code: smb == nil ? .badToken : nil)
        guard let outcome, let smb, case .replaced(let replacement) = outcome.response else { return }
        if isReplaced { self.replace(smb, outcome) }
        self.check(outcome, of: id, sent: replacement == nil ? nil : smb)
    }

    mutating func destroy(_ choices: [UInt16]) {
        let token = self.ownerToken(choices[0])
        let live = self.books.smbs.first { $0.token == token }
        guard let id = self.mostly(live?.owner.caller.id, choices[1]) else { return }
        let smb = self.owned(token, id)
        guard let outcome = self.perform(.destroy(token), id, isGranted: smb != nil, code: .badToken), let smb else {
            return
        }
        self.books.end(smb)
        self.check(outcome, of: id)
    }

    mutating func bindings(_ choices: [UInt16]) {
        let token = self.ownerToken(choices[0])
        let live = self.books.smbs.first { $0.token == token }
        guard let id = self.mostly(live?.owner.caller.id, choices[1]) else { return }
        let smb = self.owned(token, id)
        guard let outcome = self.perform(.bindings(token), id, isGranted: smb != nil, code: .badToken), let smb,
            case .bindings(let records, let isTainted) = outcome.response
        else { return }
        let expected = Set(smb.bindings.map { BindingRecord(peer: $0.peer.smgid, isAccepted: $0.accepted != nil) })
        self.expect(Set(records) == expected && isTainted == self.books.isTainted(smb), "bindings are told wrongly")
    }

    // MARK: Data

    mutating func move(_ choices: [UInt16], _ kind: ModelStep.Kind) {
        let access: BufferAccess
        let smb: ReferenceBooks.SMB?
        var rightful: CallerID?
        if choices[0] % 2 == 0 {
            let token = self.ownerToken(choices[0] / 2)
            access = .owner(token)
            smb = self.books.smbs.first { $0.token == token }
            rightful = smb?.owner.caller.id
        } else {
            let token = self.buffers[Int(choices[0] / 2) % self.buffers.count]
            access = .peer(token)
            smb = self.books.smbs.first { $0.bindings.contains { $0.accepted?.buffer == token } }
            rightful = smb?.bindings.first { $0.accepted?.buffer == token }?.peer.caller.id
        }
        guard let id = self.mostly(rightful, choices[1]) else { return }
        let offset = [0, 8, 9, 100, 108, 116, 1016, -8, .max][Int(choices[2]) % 9]
        let count = kind == .compareAndMove ? 8 : [1, 8, 100, 116, 0, .max][Int(choices[3]) % 6]
        let size = smb.map { self.books.byteCount($0.block) } ?? 0
        var isInside = count > 0 && count <= size && offset >= 0 && offset <= size - min(count, size)
        if kind == .compareAndMove { isInside = isInside && offset % 8 == 0 }
        let isHolder = rightful != nil && rightful == id
        let request: ControlRequest
        switch kind {
        case .read: request = .read(access, offset: offset, byteCount: count)
        case .write:
            guard count < 1000 else { return }
            request = .write(access, offset: offset, bytes: Array(repeating: 1, count: count))
        default: request = .compareAndMove(access, offset: offset, expected: 1, desired: 2)
        }
        let outcome = self.perform(
            request, id, isGranted: isHolder && isInside, code: isHolder ? .outOfBounds : .badToken)
        guard let outcome, let smb else { return }
        let block: BlockID? =
            switch outcome.effects.first {
            case .read(let block, offset, count)?, .write(let block, offset, _)?: block
            case .compareAndMove(let block, offset, 1, 2)?: block
            default: nil
            }
        self.expect(block == smb.block && outcome.effects.count == 1, "a move into other memory than the SMB's")
    }

    mutating func signal(_ choices: [UInt16]) {
        let token = self.signals[Int(choices[0]) % self.signals.count]
        let found = self.books.smbs.lazy.flatMap { smb in smb.bindings.map { (smb, $0) } }
            .first { $0.1.ownerSignal == token || $0.1.accepted?.signal == token }
        let isOwner = found?.1.ownerSignal == token
        let rightful = isOwner ? found?.0.owner.caller.id : found?.1.peer.caller.id
        guard let id = self.mostly(rightful, choices[1]) else { return }
        let isGranted = rightful != nil && rightful == id
        let outcome = self.perform(.signal(token), id, isGranted: isGranted, code: .badToken)
        guard let outcome, let (_, binding) = found else { return }
        guard case .notify(let pair, _, binding.bit)? = outcome.effects.first, pair.rawValue == binding.pair else {
            return self.expect(false, "a signal about something else")
        }
    }

    mutating func takeStatusBits(_ choices: [UInt16]) {
        let pair = self.pairs[Int(choices[0]) % self.pairs.count]
        let sides =
            self.books.smbs.lazy.flatMap { smb in smb.bindings.map { (smb, $0) } }
            .first { $0.1.pair == pair }.map { [$0.0.owner.caller.id, $0.1.peer.caller.id] } ?? []
        guard let id = self.mostly(sides.first, choices[1]) else { return }
        let outcome = self.perform(
            .takeStatusBits(pair: pair), id, isGranted: sides.contains(id), code: .badToken)
        guard let outcome else { return }
        let both = sides.allSatisfy { $0 == id }
        guard case .takeStatusBits(let taken, let directions)? = outcome.effects.first, taken.rawValue == pair else {
            return self.expect(false, "bits of another pair")
        }
        self.expect(both || directions.count == 1, "bits of somebody else are taken")
    }
}
