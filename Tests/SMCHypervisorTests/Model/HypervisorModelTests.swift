import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// Random instructions against a second, simpler set of books, kept from the answers alone.
@Suite struct HypervisorModelTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func randomInstructionsKeepTheInvariants(seed: UInt64) {
        var world = ModelWorld(seed: seed)
        for step in 0..<50_000 {
            world.step()
            if step % 64 == 0 { world.checkBooks() }
            if let failure = world.failure {
                Issue.record("seed \(seed), step \(step): \(failure)")
                return
            }
        }
        world.closeAll()
        #expect(world.failure == nil, "seed \(seed)")
        // The steps must get somewhere, or nothing was tried.
        #expect(world.acceptedCount > 1000, "seed \(seed)")
    }
}

/// What must be true of an SMB, as its users see it.
struct ShadowSMB {
    let vlan: VLANID
    let block: BlockID
    var owner: (caller: CallerID, address: SMGID, token: OwnerToken)?
    var peer: (caller: CallerID, address: SMGID)?
    var offer: OfferToken?
    var buffer: BufferToken?
    var isWithdrawn = false
    /// Pair, direction and bit.
    var bit: (pair: UInt64, bit: Int)?
}

/// The model, its shadow, and callers that do anything at all.
struct ModelWorld {
    private var random: SeededGenerator
    private var model: Hypervisor
    private var nextCaller: UInt64 = 0
    private var callers: [CallerID: [Membership.Address]] = [:]
    private var smbs: [ShadowSMB] = []
    private var reclaiming: Set<BlockID> = []
    private var pairs: Set<PairID> = []
    /// All tokens that ever were, the dead ones too.
    private var owners: [OwnerToken] = []
    private var buffers: [BufferToken] = []
    private var offers: [OfferToken] = []
    private var addresses: [SMGID] = [SMGID(gid: 1, extendedGID: 1)]
    private(set) var failure: String?
    private(set) var acceptedCount = 0
    private static let vlans = [VLANID("a")!, VLANID("b")!, VLANID("c")!]

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        let vlans = Self.vlans.map {
            Hypervisor.Configuration.VLAN($0, limitByteCount: $0.name == "c" ? 1500 : nil)
        }
        let geometry = PoolGeometry(
            controlByteCount: 16,
            classes: [.init(ringByteCount: 100, blockCount: 6), .init(ringByteCount: 1000, blockCount: 5)])
        var configuration = Hypervisor.Configuration(
            vlans: vlans, pools: [PoolLayout(geometry: geometry)], bitsPerDirection: 3)
        configuration.partitionsMaximum = 6
        self.model = Hypervisor(configuration, random: SeededGenerator(seed: seed &+ 1000))
    }

    private mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    // MARK: Steps

    mutating func step() {
        let caller = self.callers.keys.sorted { $0.rawValue < $1.rawValue }.randomElement(using: &self.random)
        switch (Int.random(in: 0..<100, using: &self.random), caller) {
        case (0..<4, _), (_, nil): self.open()
        case (4..<5, let caller?): self.close(caller)
        case (5..<25, _):
            if let block = self.reclaiming.min(by: { $0.rawValue < $1.rawValue }) { self.reclaimed(block) }
        case (25..<45, let caller?): self.create(caller)
        case (45..<62, let caller?): self.bind(caller)
        case (62..<82, let caller?): self.answer(caller, accepts: Int.random(in: 0..<4, using: &self.random) > 0)
        case (82..<88, let caller?): self.unbindBuffer(caller)
        case (88..<94, let caller?): self.unbindOwner(caller)
        case (_, let caller?): self.destroy(caller)
        }
    }

    private mutating func perform(_ request: ControlRequest, _ caller: CallerID) -> Outcome {
        let outcome = self.model.perform(.request(request), by: caller)
        if case .refused = outcome.response {
            self.expect(outcome.effects.isEmpty, "a refusal has effects")
        }
        self.follow(outcome.effects)
        return outcome
    }

    private mutating func follow(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .createPair(let id): self.expect(self.pairs.insert(id).inserted, "pair made twice")
            case .dropPair(let id): self.expect(self.pairs.remove(id) != nil, "unknown pair dropped")
            case .sendPair(let id, _, _), .markGone(let id):
                self.expect(self.pairs.contains(id), "unknown pair used")
            case .reclaim(let block):
                self.expect(self.reclaiming.insert(block).inserted, "block given back twice")
            case .sendBlock, .makeBlocks, .dropBlocks: break
            }
        }
    }

    private mutating func open() {
        self.nextCaller += 1
        let caller = CallerID(self.nextCaller)
        _ = self.model.perform(.open(CallerIdentity(processID: 1, userID: 1)), by: caller)
        var vlans: [VLANID] = []
        for vlan in Self.vlans where Int.random(in: 0..<3, using: &self.random) > 0 {
            vlans.append(vlan)
        }
        let outcome = self.perform(.join(name: "p", vlans: vlans), caller)
        guard case .joined(let membership) = outcome.response else {
            self.expect(self.callers.count == 6, "a partition was refused")
            _ = self.model.perform(.close, by: caller)
            return
        }
        self.callers[caller] = membership.addresses
        self.addresses.append(contentsOf: membership.addresses.map(\.smgid))
    }

    private mutating func close(_ caller: CallerID) {
        let outcome = self.model.perform(.close, by: caller)
        self.callers[caller] = nil
        for index in self.smbs.indices {
            if self.smbs[index].peer?.caller == caller { self.dropPeer(index) }
            if self.smbs[index].owner?.caller == caller { self.dropOwner(index) }
        }
        self.follow(outcome.effects)
        self.settle()
    }

    private mutating func dropPeer(_ index: Int) {
        self.smbs[index].peer = nil
        self.smbs[index].offer = nil
        self.smbs[index].buffer = nil
        self.smbs[index].bit = nil
        self.smbs[index].isWithdrawn = false
    }

    private mutating func dropOwner(_ index: Int) {
        self.smbs[index].owner = nil
        self.smbs[index].bit = nil
        if self.smbs[index].buffer == nil { self.dropPeer(index) }
    }

    /// SMBs that nobody holds must have been given back by now, and no others.
    private mutating func settle() {
        for smb in self.smbs where smb.owner == nil && smb.peer == nil {
            self.expect(self.reclaiming.contains(smb.block), "an unheld block was not given back")
        }
        self.smbs.removeAll { $0.owner == nil && $0.peer == nil }
        for smb in self.smbs {
            self.expect(!self.reclaiming.contains(smb.block), "a held block was given back")
        }
    }

    private mutating func reclaimed(_ block: BlockID) {
        self.reclaiming.remove(block)
        self.model.reclaimed(block)
    }

    private mutating func create(_ caller: CallerID) {
        let isOwn = Int.random(in: 0..<8, using: &self.random) > 0
        let own = self.callers[caller]!.randomElement(using: &self.random)!
        let address = isOwn ? own.smgid : self.addresses.randomElement(using: &self.random)!
        let size = [1, 100, 101, 1000, 1001].randomElement(using: &self.random)!
        let outcome = self.perform(.createSMB(ringByteCount: size, on: address), caller)
        guard case .created(let record) = outcome.response else { return }
        let vlan = self.callers[caller]!.first { $0.smgid == address }?.vlan
        guard let vlan, case .sendBlock(let block)? = outcome.effects.first else {
            return self.expect(false, "an SMB was made for an address of somebody else")
        }
        self.expect(record.ringByteCount >= size, "too small")
        self.expect(!self.reclaiming.contains(block), "a block was used again before it was reclaimed")
        self.expect(!self.smbs.contains { $0.block == block }, "a block is in two SMBs")
        self.owners.append(record.owner)
        self.smbs.append(ShadowSMB(vlan: vlan, block: block, owner: (caller, address, record.owner)))
    }

    /// Mostly the one who may, sometimes anybody.
    private mutating func mostly(_ rightful: CallerID?, or anybody: CallerID) -> CallerID {
        Int.random(in: 0..<4, using: &self.random) > 0 ? rightful ?? anybody : anybody
    }

    /// A token of an SMB that there is, or any that there was.
    private mutating func ownerToken() -> OwnerToken? {
        let live = self.smbs.compactMap(\.owner?.token).randomElement(using: &self.random)
        return Bool.random(using: &self.random) ? live : self.owners.suffix(12).randomElement(using: &self.random)
    }

    private mutating func bind(_ anybody: CallerID) {
        guard let token = self.ownerToken() else { return }
        let caller = self.mostly(self.smbs.first { $0.owner?.token == token }?.owner?.caller, or: anybody)
        let wanted = self.smbs.first { $0.owner?.token == token }?.vlan
        let neighbours = self.callers.values.joined().filter { $0.vlan == wanted }.map(\.smgid)
        let near = neighbours.sorted { $0.gid < $1.gid }.randomElement(using: &self.random)
        let anywhere = self.addresses.suffix(12).randomElement(using: &self.random)!
        let peer = Bool.random(using: &self.random) ? near ?? anywhere : anywhere
        let outcome = self.perform(.bind(token, to: peer), caller)
        let index = self.smbs.firstIndex { $0.owner?.token == token }
        let target = self.callers.first { $0.value.contains { $0.smgid == peer } }
        let vlan = target?.value.first { $0.smgid == peer }?.vlan
        let may = index.map {
            self.smbs[$0].owner?.caller == caller && self.smbs[$0].peer == nil && vlan == self.smbs[$0].vlan
        }
        guard case .bound(let offer, let signal) = outcome.response else {
            if case .refused(.tooManyBindings, _) = outcome.response { return }
            return self.expect(may != true, "a binding was refused: \(outcome.response)")
        }
        guard may == true, let index, let target else {
            return self.expect(false, "bound without the right to it, or across VLANs")
        }
        self.expect((0..<3).contains(signal.bit), "a bit out of range")
        let owner = self.smbs[index].owner!.address
        let clash = self.smbs.contains {
            $0.bit?.pair == signal.pair && $0.bit?.bit == signal.bit && $0.owner?.address == owner
        }
        self.expect(!clash, "two SMBs have one bit")
        self.offers.append(offer)
        self.smbs[index].offer = offer
        self.smbs[index].peer = (target.key, peer)
        self.smbs[index].bit = (signal.pair, signal.bit)
    }

    private mutating func answer(_ anybody: CallerID, accepts: Bool) {
        let open = self.smbs.compactMap(\.offer).randomElement(using: &self.random)
        let any = self.offers.suffix(8).randomElement(using: &self.random)
        guard let offer = Bool.random(using: &self.random) ? open : any else { return }
        let index = self.smbs.firstIndex { $0.offer == offer }
        let caller = self.mostly(index.flatMap { self.smbs[$0].peer?.caller }, or: anybody)
        let owner = index.flatMap { self.smbs[$0].owner?.address } ?? self.addresses[0]
        let outcome = self.perform(accepts ? .accept(offer, from: owner) : .reject(offer, from: owner), caller)
        let mayAnswer = index.map { self.smbs[$0].peer?.caller == caller } ?? false
        switch outcome.response {
        case .accepted(let record):
            guard mayAnswer, let index else { return self.expect(false, "accepted with a bad offer") }
            self.expect(outcome.effects.contains(.sendBlock(self.smbs[index].block)), "another block was sent")
            self.expect(record.signal.bit == self.smbs[index].bit?.bit, "the sides have different bits")
            self.smbs[index].offer = nil
            self.smbs[index].buffer = record.buffer
            self.buffers.append(record.buffer)
            self.acceptedCount += 1
        case .done:
            guard mayAnswer, let index else { return self.expect(false, "rejected with a bad offer") }
            self.dropPeer(index)
            self.settle()
        default: self.expect(!mayAnswer, "a good offer was refused")
        }
    }

    private mutating func unbindBuffer(_ anybody: CallerID) {
        guard let token = self.buffers.suffix(10).randomElement(using: &self.random) else { return }
        let index = self.smbs.firstIndex { $0.buffer == token }
        let caller = self.mostly(index.flatMap { self.smbs[$0].peer?.caller }, or: anybody)
        let may = index.map { self.smbs[$0].peer?.caller == caller } ?? false
        let outcome = self.perform(.unbindBuffer(token), caller)
        self.expect((outcome.response == .done) == may, "unbind by buffer token: \(outcome.response)")
        if may, let index {
            self.dropPeer(index)
            self.settle()
        }
    }

    private mutating func unbindOwner(_ anybody: CallerID) {
        guard let token = self.ownerToken() else { return }
        let caller = self.mostly(self.smbs.first { $0.owner?.token == token }?.owner?.caller, or: anybody)
        let index = self.smbs.firstIndex { $0.owner?.token == token && $0.owner?.caller == caller }
        let may = index.map { self.smbs[$0].peer != nil && !self.smbs[$0].isWithdrawn } ?? false
        let outcome = self.perform(.unbindOwner(token), caller)
        self.expect((outcome.response == .done) == may, "unbind by owner token: \(outcome.response)")
        guard may, let index else { return }
        if self.smbs[index].buffer == nil {
            self.dropPeer(index)
        } else {
            self.smbs[index].isWithdrawn = true
            self.smbs[index].bit = nil
        }
    }

    private mutating func destroy(_ anybody: CallerID) {
        guard let token = self.ownerToken() else { return }
        let caller = self.mostly(self.smbs.first { $0.owner?.token == token }?.owner?.caller, or: anybody)
        let index = self.smbs.firstIndex { $0.owner?.token == token && $0.owner?.caller == caller }
        let outcome = self.perform(.destroy(token), caller)
        self.expect((outcome.response == .done) == (index != nil), "destroy: \(outcome.response)")
        if let index {
            self.dropOwner(index)
            self.settle()
        }
    }

    // MARK: Books

    /// Sums and states as the model shows them, against the shadow.
    mutating func checkBooks() {
        let observer = CallerID(0)
        _ = self.model.perform(.open(CallerIdentity(processID: 0, userID: 0)), by: observer)
        defer { _ = self.model.perform(.close, by: observer) }
        guard case .status(let page) = self.model.perform(.request(.status(firstItem: 0)), by: observer).response else {
            return self.expect(false, "no status")
        }
        let books = page.beginning
        let total = books.pools.reduce(0) { $0 + $1.blockCount }
        let free = books.pools.reduce(0) { $0 + $1.freeCount }
        let reclaiming = books.pools.reduce(0) { $0 + $1.reclaimingCount }
        self.expect(total == 11, "blocks were lost")
        self.expect(reclaiming == self.reclaiming.count, "blocks on their way back are counted wrongly")
        self.expect(total - free - reclaiming == self.smbs.count, "blocks in use are counted wrongly")
        self.expect(books.smbs.count == self.smbs.count, "SMBs are counted wrongly")
        self.expect(books.partitions.count == self.callers.count, "partitions are counted wrongly")
        for vlan in books.vlans {
            self.expect(vlan.usedByteCount <= vlan.limitByteCount, "VLAN \(vlan.vlan) is over its limit")
        }
        let used = books.vlans.reduce(0) { $0 + $1.usedByteCount }
        let expected = zip(books.pools, [116, 1016]).reduce(0) { $0 + ($1.0.blockCount - $1.0.freeCount) * $1.1 }
        self.expect(used == expected, "bytes in use are counted wrongly")
        let boundPairs = Set(self.smbs.compactMap { $0.bit?.pair })
        self.expect(boundPairs == Set(self.pairs.map(\.rawValue)), "pairs without bindings, or the other way round")
    }

    /// When all have gone, the books are as they were at the start.
    mutating func closeAll() {
        for caller in self.callers.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            self.close(caller)
        }
        for block in self.reclaiming {
            self.reclaimed(block)
        }
        self.checkBooks()
        self.expect(self.smbs.isEmpty && self.pairs.isEmpty && self.reclaiming.isEmpty, "something is left")
    }
}
