import SMCHypervisor
import SMCTesting
import SMCWire

/// Runs steps on a model and holds every answer, effect and sum against the reference books.
struct ModelRun {
    let books = ReferenceBooks()
    var model: Hypervisor
    private(set) var failure: String?
    /// What was done, in words, for a list that was shrunk.
    private(set) var log: [String] = []
    let isLogging: Bool
    var counts: [AuditRecord.Action: Int] = [:]
    private(set) var refusedCount = 0
    /// SMBs that ended because there was no memory to replace theirs.
    var endedCount = 0
    private var nextCaller: UInt64 = 10
    private static let observer = CallerID(1)
    private static let look = CallerIdentity(processID: 1, userID: 0, roles: .all)
    /// The last tokens of each kind, most of them dead.
    var owners: [OwnerToken] = [OwnerToken(high: 1, low: 1)]
    var buffers: [BufferToken] = [BufferToken(high: 1, low: 1)]
    var offers: [OfferToken] = [OfferToken(rawValue: 1)]
    var signals: [SignalToken] = [SignalToken(high: 1, low: 1)]
    var pairs: [UInt64] = [1]
    var addresses: [SMGID] = [SMGID(gid: 1, extendedGID: 1)]

    /// - Parameter seed: of the model's tokens only.
    init(seed: UInt64, isLogging: Bool = false) {
        self.model = Hypervisor(ReferenceBooks.configuration, random: SeededGenerator(seed: seed))
        self.isLogging = isLogging
        _ = self.model.perform(.open(Self.look), by: Self.observer)
    }

    /// Runs steps until one fails.
    static func failure(of steps: [ModelStep], seed: UInt64, checkInterval: Int = 1) -> String? {
        var run = ModelRun(seed: seed)
        for (index, step) in steps.enumerated() {
            run.run(step)
            if index % checkInterval == 0 { run.checkBooks() }
            if run.failure != nil { return run.failure }
        }
        run.closeAll()
        return run.failure
    }

    mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    mutating func keep<Item>(_ item: Item, in list: WritableKeyPath<ModelRun, [Item]>) {
        self[keyPath: list].append(item)
        if self[keyPath: list].count > 24 { self[keyPath: list].removeFirst() }
    }

    // MARK: Performing

    /// Has the model perform a request and compares with what must come of it.
    ///
    /// - Parameter code: the refusal that must come; nil with `isGranted` false: any.
    /// - Returns: the outcome, if it was granted and had to be.
    mutating func perform(
        _ request: ControlRequest, _ caller: CallerID, isGranted: Bool, code: HypervisorRefusal? = nil,
        insists: Bool = false
    ) -> Outcome? {
        self.books.reclaimed.removeAll(keepingCapacity: true)
        self.books.droppedPairs.removeAll(keepingCapacity: true)
        let outcome = self.model.perform(insists ? .insist(request) : .request(request), by: caller)
        if self.isLogging { self.log.append("\(caller.rawValue): \(request) -> \(outcome.response)") }
        guard case .refused(let refusal, let text) = outcome.response else {
            self.expect(isGranted, "granted without a right to it: \(request)")
            self.counts[outcome.records.first?.action ?? .hello, default: 0] += 1
            self.expect(outcome.records.allSatisfy { $0.refusal == nil }, "a grant is audited as a refusal")
            return isGranted ? outcome : nil
        }
        self.refusedCount += 1
        self.expect(!isGranted, "refused in spite of the right to it: \(request): \(text)")
        self.expect(code == nil || refusal == code, "refused as \(refusal), not as \(code!): \(request)")
        self.expect(outcome.effects.isEmpty, "a refusal has effects: \(request)")
        self.expect(!text.isEmpty, "a refusal without a sentence")
        let isAudited = outcome.records.count == 1 && outcome.records[0].refusal == refusal
        self.expect(isAudited, "a refusal is not audited: \(request)")
        return nil
    }

    /// Checks effects after the reference books were changed.
    ///
    /// - Parameter sent: the SMB whose memory goes with the answer.
    mutating func check(
        _ outcome: Outcome, of caller: CallerID, sent: ReferenceBooks.SMB? = nil, pair: UInt64? = nil,
        isNewPair: Bool = false
    ) {
        var reclaims: Set<BlockID> = []
        var dropped: Set<UInt64> = []
        var sends: [BlockID] = []
        var sentPairs: [UInt64] = []
        for effect in outcome.effects {
            switch effect {
            case .reclaim(let block): self.expect(reclaims.insert(block).inserted, "\(block) is given back twice")
            case .dropPair(let id): self.expect(dropped.insert(id.rawValue).inserted, "a pair is dropped twice")
            case .sendBlock(let block): sends.append(block)
            case .sendPair(let id, _, _): sentPairs.append(id.rawValue)
            case .createPair(let id): self.expect(id.rawValue == pair, "another pair is made")
            case .markGone(let id), .markRevoked(let id):
                self.expect(self.books.droppedPairs.contains(id.rawValue), "a live pair is gone")
            case .notify(let id, _, let bit):
                let isKnown = self.books.pairs[id.rawValue] != nil || self.books.droppedPairs.contains(id.rawValue)
                self.expect(isKnown && (0..<ReferenceBooks.bitsPerDirection).contains(bit), "a stray signal")
            case .keepAdopted, .dropAdopted: self.expect(false, "memory is adopted that nobody brought")
            case .replace, .read, .write, .compareAndMove, .takeStatusBits, .readSettings: break
            case .makeBlocks, .dropBlocks: self.expect(false, "memory is made or dropped without being asked for")
            }
        }
        let books = self.books
        self.expect(reclaims == books.reclaimed, "given back: \(reclaims), not \(books.reclaimed)")
        self.expect(dropped == books.droppedPairs, "pairs ended: \(dropped), not \(books.droppedPairs)")
        self.expect(sends == (sent.map { [$0.block] } ?? []), "memory sent: \(sends)")
        self.expect(sentPairs == (isNewPair ? [pair ?? 0] : []), "pairs sent: \(sentPairs)")
    }

    // MARK: Sessions

    func caller(_ number: UInt16) -> ReferenceBooks.Caller? {
        self.books.callers.isEmpty ? nil : self.books.callers[Int(number) % self.books.callers.count]
    }

    mutating func open(_ choices: [UInt16]) {
        self.nextCaller += 1
        let id = CallerID(self.nextCaller)
        let identity = Self.identity(Int(choices[0] % 8))
        _ = self.model.perform(.open(identity), by: id)
        let name = ReferenceBooks.names[Int(choices[1]) % ReferenceBooks.names.count]
        let all = ReferenceBooks.vlanIDs.enumerated().filter { choices[2] >> UInt16($0.offset) & 1 == 1 }.map(\.element)
        // Mostly such as it may be on.
        let vlans =
            choices[3] % 4 == 0
            ? all
            : all.filter { self.books.mayEnter(name, isDefined: self.books.partitions[name] != nil, $0) }
        let definition = self.books.partitions[name]
        let isUser = definition.map { self.books.isUser(identity, of: $0) } ?? true
        let wanted = vlans.isEmpty ? [self.books.defaultVLAN].compactMap(\.self) : vlans
        let mayEnter = wanted.allSatisfy { self.books.mayEnter(name, isDefined: definition != nil, $0) }
        let isGranted =
            self.books.callers.count < ReferenceBooks.partitionsMaximum && isUser && mayEnter && !wanted.isEmpty
        let outcome = self.perform(.join(name: name, vlans: vlans), id, isGranted: isGranted)
        guard case .joined(let membership)? = outcome?.response else {
            _ = self.model.perform(.close, by: id)
            return
        }
        self.expect(membership.addresses.map(\.vlan) == wanted, "addresses on other VLANs than were asked for")
        let caller = ReferenceBooks.Caller(id, identity, name, isDefined: definition != nil)
        self.books.callers.append(caller)
        for address in membership.addresses { self.add(address, caller) }
    }

    mutating func add(_ address: Membership.Address, _ caller: ReferenceBooks.Caller) {
        let new = ReferenceBooks.Address(address.smgid, caller, address.vlan)
        self.expect(self.books.addresses.updateValue(new, forKey: address.smgid) == nil, "an address is given twice")
        caller.addresses.append(new)
        self.keep(address.smgid, in: \.addresses)
    }

    static func identity(_ number: Int) -> CallerIdentity {
        let (a, c, d) = (ReferenceBooks.vlanIDs[0], ReferenceBooks.vlanIDs[2], ReferenceBooks.vlanIDs[3])
        let some: Roles = Roles([.quota: .vlans([a]), .authorise: .vlans([c]), .configure: .vlans([d])])
        return switch number {
        case 0: CallerIdentity(processID: 1, userID: 1)
        case 1: CallerIdentity(processID: 1, userID: 2)
        case 2: CallerIdentity(processID: 1, userID: 3, groupIDs: [5, 20])
        case 3, 4: CallerIdentity(processID: 1, userID: 4, roles: .all)
        case 5: CallerIdentity(processID: 1, userID: 1, roles: some)
        default: CallerIdentity(processID: 1, userID: 1, groupIDs: [20])
        }
    }

    mutating func close(_ caller: ReferenceBooks.Caller) {
        self.books.reclaimed.removeAll()
        self.books.droppedPairs.removeAll()
        let outcome = self.model.perform(.close, by: caller.id)
        if self.isLogging { self.log.append("\(caller.id.rawValue): close") }
        for address in caller.addresses { self.books.end(address) }
        self.books.callers.removeAll { $0 === caller }
        self.check(outcome, of: caller.id)
        self.expect(outcome.records.first?.action == .end, "the end of a partition is not audited")
    }

    mutating func reclaimed(_ number: UInt16) {
        let blocks = self.books.uses.filter(\.value.isReclaiming).keys
        guard !blocks.isEmpty else { return }
        let sorted = blocks.sorted { $0.rawValue < $1.rawValue }
        let block = sorted[Int(number) % sorted.count]
        if self.isLogging { self.log.append("reclaimed \(block)") }
        self.books.uses[block] = nil
        self.books.holders[block] = nil
        self.model.reclaimed(block)
    }

    // MARK: Sums

    /// What the model shows of itself, against the reference books.
    mutating func checkBooks() {
        var status: HypervisorStatus?
        var next = 0
        while true {
            let outcome = self.model.perform(.request(.status(firstItem: next)), by: Self.observer)
            guard case .status(let page) = outcome.response else { return self.expect(false, "no status") }
            if status == nil { status = page.beginning } else { page.append(to: &status!) }
            next += page.items.count
            if !page.hasMore { break }
        }
        guard let status else { return }
        let blockCount = status.pools.reduce(0) { $0 + $1.blockCount }
        self.expect(blockCount == self.books.sizes.count, "blocks are lost, or too many")
        for pool in status.pools {
            let blocks = self.books.blocks(pool.pool == ReferenceBooks.fast ? 1 : 0)
                .filter { self.books.ringByteCount($0) == pool.ringByteCount }
            let free = blocks.filter { self.books.uses[$0] == nil }.count
            let reclaiming = blocks.filter { self.books.uses[$0]?.isReclaiming == true }.count
            let isRight =
                pool.blockCount == blocks.count && pool.freeCount == free && pool.reclaimingCount == reclaiming
            self.expect(isRight, "blocks are counted wrongly: \(pool)")
        }
        self.expect(status.vlans.count == self.books.vlans.count, "VLANs are counted wrongly")
        for vlan in status.vlans {
            let count = self.books.addresses.values.filter { $0.vlan == vlan.vlan }.count
            let isRight =
                vlan.usedByteCount == self.books.used(vlan.vlan) && vlan.limitByteCount == self.books.limit(vlan.vlan)
                && vlan.partitionCount == count && vlan.definition == self.books.vlans[vlan.vlan]?.definition
            self.expect(isRight, "a VLAN's books are wrong: \(vlan)")
        }
        self.expect(status.isFunctionEnabled == self.books.isEnabled, "the function's switch is wrong")
        self.expect(status.partitions.count == self.books.callers.count, "partitions are counted wrongly")
        self.expect(Set(status.definitions) == Set(self.books.partitions.values), "definitions are wrong")
        let authorised = self.books.vlans.reduce(0) { $0 + $1.value.authorised.count }
        self.expect(status.authorisations.count == authorised, "authorisations are wrong")
        let lines = self.books.smbs.reduce(0) { $0 + max(1, $1.bindings.count) }
        let accepted = self.books.smbs.reduce(0) { $0 + $1.bindings.filter { $0.accepted != nil }.count }
        self.expect(status.smbs.count == lines, "SMBs are counted wrongly")
        self.expect(status.smbs.filter { $0.state == .accepted }.count == accepted, "bindings are counted wrongly")
        let tainted = self.books.smbs.reduce(0) { $0 + (self.books.isTainted($1) ? max(1, $1.bindings.count) : 0) }
        self.expect(status.smbs.filter(\.isTainted).count == tainted, "tainted SMBs are counted wrongly")
        let blocks = self.books.smbs.map(\.block)
        self.expect(Set(blocks).count == blocks.count, "a block is in two SMBs")
    }

    /// When all have gone, the books are as they were at the start.
    mutating func closeAll() {
        for caller in self.books.callers { self.close(caller) }
        while self.failure == nil, self.books.uses.contains(where: \.value.isReclaiming) { self.reclaimed(0) }
        self.checkBooks()
        let isEmpty = self.books.uses.isEmpty && self.books.smbs.isEmpty && self.books.pairs.isEmpty
        self.expect(isEmpty, "something is left")
    }
}
