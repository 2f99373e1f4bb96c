import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// Random re-registrations against a second, simpler set of books.
@Suite struct ReregistrationModelTests {
    @Test(arguments: [1, 2] as [UInt64]) func randomReregistrationsKeepTheInvariants(seed: UInt64) {
        var world = ReregistrationWorld(seed: seed)
        for step in 0..<20_000 {
            world.step()
            world.checkBooks()
            if let failure = world.failure {
                Issue.record("seed \(seed), step \(step): \(failure)")
                return
            }
        }
        world.closeAll()
        #expect(world.failure == nil, "seed \(seed)")
        // The steps must get somewhere, or nothing was tried.
        #expect(world.joinedCount > 200 && world.refusals.count >= 5, "seed \(seed): \(world.refusals)")
    }
}

/// The model, its shadow, and callers that show memory as they like.
private struct ReregistrationWorld {
    private struct Shadow {
        var vlan: VLANID
        var byteCount: Int
        var owner: (caller: CallerID, token: OwnerToken)?
        var peer: (caller: CallerID, token: BufferToken)?
    }

    private static let vlans = [VLANID("a")!, VLANID("b")!]
    private static let ringByteCounts = [100, 1000]
    private static let adoptedMaximum = 9
    private static let quota = 2200
    private var random: SeededGenerator
    private var model: Hypervisor
    private var nextCaller: UInt64 = 0
    private var callers: [CallerID: [Membership.Address]] = [:]
    private var shadows: [UInt64: Shadow] = [:]
    private var kept: Set<AdoptedID> = []
    private var owners: [OwnerToken] = []
    private var peers: [BufferToken] = []
    private(set) var failure: String?
    /// How often an SMB had both its holders again.
    private(set) var joinedCount = 0
    private(set) var refusals: Set<HypervisorRefusal> = []

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        let geometry = PoolGeometry(controlByteCount: 16, classes: [.init(ringByteCount: 1000, blockCount: 10)])
        let vlans = [
            VLANDefinition(Self.vlans[0], partitionLimitByteCount: Self.quota),
            VLANDefinition(Self.vlans[1], sliceByteCount: 2500),
        ]
        var configuration = Hypervisor.Configuration(
            vlans: vlans, pools: [.init(.default, geometry)], bitsPerDirection: 3)
        configuration.adoptedMaximum = Self.adoptedMaximum
        self.model = Hypervisor(configuration, random: SeededGenerator(seed: seed &+ 1000))
    }

    private mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    mutating func step() {
        let caller = self.callers.keys.sorted { $0.rawValue < $1.rawValue }.randomElement(using: &self.random)
        guard let caller, self.callers.count > 1 else { return self.open() }
        switch Int.random(in: 0..<100, using: &self.random) {
        case 0..<2: if self.callers.count < 6 { self.open() }
        case 2..<4: self.close(caller)
        case 4..<60: self.reregister(caller)
        case 60..<75: self.destroy(caller)
        case 75..<90: self.unbind(caller)
        default: self.withdraw(caller)
        }
    }

    private mutating func open() {
        self.nextCaller += 1
        let caller = CallerID(self.nextCaller)
        _ = self.model.perform(.open(CallerIdentity(processID: 1, userID: 1)), by: caller)
        let outcome = self.model.perform(.request(.join(name: "p", vlans: Self.vlans)), by: caller)
        guard case .joined(let membership) = outcome.response else { return self.expect(false, "it could not join") }
        self.callers[caller] = membership.addresses
    }

    private mutating func close(_ caller: CallerID) {
        let outcome = self.model.perform(.close, by: caller)
        self.callers[caller] = nil
        for identity in self.shadows.keys {
            if self.shadows[identity]?.owner?.caller == caller { self.shadows[identity]?.owner = nil }
            if self.shadows[identity]?.peer?.caller == caller { self.shadows[identity]?.peer = nil }
        }
        self.settle(outcome)
    }

    /// Memory that nobody holds is dropped, all of it and nothing else.
    private mutating func settle(_ outcome: Outcome) {
        self.follow(outcome)
        self.shadows = self.shadows.filter { $0.value.owner != nil || $0.value.peer != nil }
    }

    private mutating func follow(_ outcome: Outcome) {
        if case .refused(let refusal, _) = outcome.response {
            self.refusals.insert(refusal)
            self.expect(outcome.effects.isEmpty, "a refusal has effects")
        }
        for effect in outcome.effects {
            switch effect {
            case .keepAdopted(let id): self.expect(self.kept.insert(id).inserted, "kept twice")
            case .dropAdopted(let id): self.expect(self.kept.remove(id) != nil, "dropped, but not kept")
            default: self.expect(false, "an effect on the pool: \(effect)")
            }
        }
    }

    private mutating func reregister(_ caller: CallerID) {
        let identity = UInt64.random(in: 0..<14, using: &self.random)
        let isOwn = Int.random(in: 0..<8, using: &self.random) > 0
        let other = self.callers.keys.sorted { $0.rawValue < $1.rawValue }.randomElement(using: &self.random)!
        // Mostly what is true of the SMB, so that the two holders find each other.
        let known = self.shadows[identity]
        let vlan =
            Int.random(in: 0..<4, using: &self.random) > 0
            ? known?.vlan ?? Self.vlans[Int(identity) % 2] : Self.vlans.randomElement(using: &self.random)!
        let ring =
            Int.random(in: 0..<8, using: &self.random) > 0
            ? Self.ringByteCounts[Int(identity) / 2 % 2] : Self.ringByteCounts.randomElement(using: &self.random)!
        let address = self.callers[isOwn ? caller : other]!.first { $0.vlan == vlan }!.smgid
        let role = Reregistration.Role.allCases.randomElement(using: &self.random)!
        let registration = Reregistration(
            role: role, ringByteCount: ring, fileByteCount: ring + 16, address: address)
        let outcome = self.model.perform(
            .reregister(registration, MemoryIdentity(device: 1, inode: identity)), by: caller)
        let used = self.used(vlan)
        let isFree = known.map { role == .owner ? $0.owner == nil : $0.peer == nil } ?? true
        let fits = known.map { $0.vlan == vlan && $0.byteCount == ring + 16 }
        let hasRoom =
            self.shadows.count < Self.adoptedMaximum && used + ring + 16 <= (vlan == Self.vlans[1] ? 2500 : 10160)
        let owned = self.shadows.values.filter { $0.owner?.caller == caller && $0.vlan == vlan }
        let isWithinQuota =
            role == .peer || vlan == Self.vlans[1]
            || owned.reduce(0) { $0 + $1.byteCount } + ring + 16 <= Self.quota
        let may = (isOwn || other == caller) && isFree && (fits ?? hasRoom) && isWithinQuota
        self.follow(outcome)
        guard case .reregistered(let token) = outcome.response else {
            return self.expect(!may, "refused: \(outcome.response)")
        }
        self.expect(may, "taken without the right to it: \(registration)")
        var shadow = known ?? Shadow(vlan: vlan, byteCount: ring + 16)
        switch token {
        case .owner(let token):
            self.expect(role == .owner, "another role than was asked for")
            shadow.owner = (caller, token)
            self.owners.append(token)
        case .peer(let token):
            self.expect(role == .peer, "another role than was asked for")
            shadow.peer = (caller, token)
            self.peers.append(token)
        }
        if shadow.owner != nil, shadow.peer != nil { self.joinedCount += 1 }
        self.shadows[identity] = shadow
    }

    private func used(_ vlan: VLANID) -> Int {
        self.shadows.values.reduce(0) { $0 + ($1.vlan == vlan ? $1.byteCount : 0) }
    }

    private mutating func destroy(_ caller: CallerID) {
        guard let token = self.owners.suffix(20).randomElement(using: &self.random) else { return }
        let identity = self.shadows.first { $0.value.owner?.token == token && $0.value.owner?.caller == caller }?.key
        let outcome = self.model.perform(.request(.destroy(token)), by: caller)
        self.expect((outcome.response == .done) == (identity != nil), "destroy: \(outcome.response)")
        if let identity { self.shadows[identity]?.owner = nil }
        self.settle(outcome)
    }

    private mutating func unbind(_ caller: CallerID) {
        guard let token = self.peers.suffix(20).randomElement(using: &self.random) else { return }
        let identity = self.shadows.first { $0.value.peer?.token == token && $0.value.peer?.caller == caller }?.key
        let outcome = self.model.perform(.request(.unbindBuffer(token)), by: caller)
        self.expect((outcome.response == .done) == (identity != nil), "unbind: \(outcome.response)")
        if let identity { self.shadows[identity]?.peer = nil }
        self.settle(outcome)
    }

    private mutating func withdraw(_ caller: CallerID) {
        guard let token = self.owners.suffix(20).randomElement(using: &self.random) else { return }
        // It cannot be taken back from its peer: there is no other memory for the owner.
        let outcome = self.model.perform(.request(.unbindOwner(token)), by: caller)
        guard case .refused = outcome.response else { return self.expect(false, "taken back: \(outcome.response)") }
        self.settle(outcome)
    }

    // MARK: Books

    mutating func checkBooks() {
        let observer = CallerID(0)
        _ = self.model.perform(.open(CallerIdentity(processID: 0, userID: 0, roles: .all)), by: observer)
        defer { _ = self.model.perform(.close, by: observer) }
        guard case .status(let page) = self.model.perform(.request(.status(firstItem: 0)), by: observer).response else {
            return self.expect(false, "no status")
        }
        let books = page.beginning
        for vlan in books.vlans {
            self.expect(vlan.usedByteCount == self.used(vlan.vlan), "VLAN \(vlan.vlan) is counted wrongly")
            self.expect(vlan.usedByteCount <= vlan.limitByteCount, "VLAN \(vlan.vlan) is over its limit")
        }
        self.expect(books.pools.allSatisfy { $0.freeCount == $0.blockCount }, "the pool was touched")
        let (kept, held) = (self.kept.count, self.shadows.count)
        self.expect(kept == held, "\(kept) kept, not \(held)")
        let expected = self.shadows.values.map { shadow -> SMBStatus.State in
            guard shadow.peer != nil else { return .created }
            guard shadow.owner != nil else { return .orphaned }
            return .accepted
        }
        let states = books.smbs.map(\.state)
        self.expect(states.map(\.rawValue).sorted() == expected.map(\.rawValue).sorted(), "\(states), not \(expected)")
    }

    mutating func closeAll() {
        for caller in self.callers.keys.sorted(by: { $0.rawValue < $1.rawValue }) { self.close(caller) }
        self.checkBooks()
        self.expect(self.shadows.isEmpty && self.kept.isEmpty, "something is left")
    }
}
