import SMCHypervisor
import SMCTesting
import SMCWire

/// Several clients that ask the hypervisor's model for anything, with tokens of their own, of others, of the past, and
/// made up; against rights kept from the answers alone.
///
/// Whatever is granted must have been somebody's right; what is refused must change nothing; in the end everything must
/// be back.
struct SessionFuzzer {
    var input: FuzzInput
    var model: Hypervisor
    var rights = Rights()
    var failure: String?
    private var callers: [CallerID] = []
    private var lastCaller: UInt64 = 1
    /// Everything that ever was, so that the past can be asked for.
    var addresses: [SMGID] = [SMGID(gid: 1, extendedGID: 1)]
    var owners: [OwnerToken] = []
    var buffers: [BufferToken] = []
    var offers: [OfferToken] = []
    var signals: [SignalToken] = []

    static let vlans = [VLANID("a")!, VLANID("b")!, VLANID("c")!, VLANID("d")!]
    static let names = ["p", "q"]
    /// Looks at the books, and never joins.
    private static let observer = CallerID(1)
    private static let blockCount = 8

    static func check(_ bytes: [UInt8]) -> String? {
        var fuzzer = SessionFuzzer(bytes)
        // Long enough for anything, and short enough for a fuzzer.
        for _ in 0..<2000 where !fuzzer.input.isEmpty && fuzzer.failure == nil { fuzzer.step() }
        if fuzzer.failure == nil { fuzzer.closeAll() }
        return fuzzer.failure
    }

    private init(_ bytes: [UInt8]) {
        self.input = FuzzInput(bytes)
        let vlans = Self.vlans.prefix(3).map { VLANDefinition($0, sliceByteCount: $0.name == "c" ? 250 : nil) }
        let geometry = PoolGeometry(
            controlByteCount: 16,
            classes: [.init(ringByteCount: 100, blockCount: 5), .init(ringByteCount: 1000, blockCount: 3)])
        var configuration = Hypervisor.Configuration(
            vlans: vlans, pools: [.init(.default, geometry)], bitsPerDirection: 3)
        configuration.partitionsMaximum = 5
        configuration.reportsPerPartitionMaximum = 2
        self.model = Hypervisor(configuration, random: SeededGenerator(seed: 1))
        _ = self.model.perform(.open(CallerIdentity(processID: 0, userID: 0, roles: .all)), by: Self.observer)
    }

    mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    // MARK: Steps

    private mutating func step() {
        let kind = self.input.byte()
        guard let caller = kind < 2 ? nil : self.input.pick(self.callers) else {
            return self.open(isAdministrator: kind == 1)
        }
        switch kind {
        case 2: self.close(caller)
        case 3:
            if let block = self.rights.reclaiming.min(by: { $0.rawValue < $1.rawValue }) {
                self.rights.reclaiming.remove(block)
                self.model.reclaimed(block)
            }
        default:
            if let request = self.request(kind) { self.ask(request, caller) }
        }
    }

    // MARK: Sessions

    private mutating func open(isAdministrator: Bool) {
        self.lastCaller += 1
        let caller = CallerID(self.lastCaller)
        let identity = CallerIdentity(
            processID: 1, userID: UInt32(self.lastCaller % 2), roles: isAdministrator ? .all : .none)
        let outcome = self.model.perform(.open(identity), by: caller)
        self.expect(outcome.effects.isEmpty, "opening a session has effects")
        if isAdministrator { self.rights.administrators.insert(caller) }
        self.callers.append(caller)
        if self.callers.count > 12 { self.close(self.callers[0]) }
    }

    private mutating func close(_ caller: CallerID) {
        let outcome = self.model.perform(.close, by: caller)
        self.callers.removeAll { $0 == caller }
        self.rights.ended(caller)
        self.follow(outcome)
    }

    /// Ends all sessions; then the books must be as they were at the start.
    private mutating func closeAll() {
        for caller in self.callers { self.close(caller) }
        let rights = self.rights
        for block in rights.reclaiming { self.model.reclaimed(block) }
        self.expect(rights.lent.isEmpty, "blocks are lost: \(rights.lent)")
        self.expect(rights.pairs.isEmpty, "pairs are left: \(rights.pairs)")
        guard let books = self.books() else { return self.expect(false, "no books") }
        self.expect(
            books.partitions.isEmpty && books.smbs.isEmpty && books.connections.isEmpty, "\(books) is not empty")
        self.expect(books.pools.reduce(0) { $0 + $1.freeCount } == Self.blockCount, "not all blocks are free")
        self.expect(books.vlans.allSatisfy { $0.usedByteCount == 0 }, "a VLAN uses memory that nobody has")
    }

    /// The first page of the books, which holds all of them here.
    func books() -> HypervisorStatus? {
        var model = self.model
        guard case .status(let page) = model.perform(.request(.status(firstItem: 0)), by: Self.observer).response
        else { return nil }
        return page.beginning
    }
}
