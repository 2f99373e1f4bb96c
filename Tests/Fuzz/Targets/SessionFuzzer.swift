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
    var callers: [CallerID] = []
    private var lastCaller: UInt64 = 1
    /// Everything that ever was, so that the past can be asked for.
    var addresses: [SMGID] = [SMGID(gid: 1, extendedGID: 1)]
    var owners: [OwnerToken] = []
    var buffers: [BufferToken] = []
    var offers: [OfferToken] = []

    static let vlans = [VLANID("a")!, VLANID("b")!, VLANID("c")!]
    /// Looks at the books, and never joins.
    static let observer = CallerID(1)
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
        let vlans = Self.vlans.map { Hypervisor.Configuration.VLAN($0, limitByteCount: $0.name == "c" ? 250 : nil) }
        let geometry = PoolGeometry(
            controlByteCount: 16,
            classes: [.init(ringByteCount: 100, blockCount: 5), .init(ringByteCount: 1000, blockCount: 3)])
        var configuration = Hypervisor.Configuration(vlans: vlans, pool: geometry, bitsPerDirection: 3)
        configuration.partitionsMaximum = 5
        configuration.reportsPerPartitionMaximum = 2
        self.model = Hypervisor(configuration, random: SeededGenerator(seed: 1))
        _ = self.model.perform(.open(CallerIdentity(processID: 0, userID: 0)), by: Self.observer)
    }

    mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    // MARK: Steps

    private mutating func step() {
        let kind = self.input.byte()
        guard let caller = kind == 0 ? nil : self.input.pick(self.callers) else { return self.open() }
        switch kind {
        case 1: self.close(caller)
        case 2:
            if let block = self.rights.reclaiming.min(by: { $0.rawValue < $1.rawValue }) {
                self.rights.reclaiming.remove(block)
                self.model.reclaimed(block)
            }
        default:
            if let request = self.request(kind) { self.ask(request, caller) }
        }
    }

    private mutating func request(_ kind: UInt8) -> ControlRequest? {
        switch kind % 13 {
        case 0:
            let mask = self.input.byte()
            let vlans = Self.vlans.enumerated().filter { mask >> $0.offset & 1 != 0 }.map(\.element)
            return .join(name: "p", vlans: mask & 8 != 0 ? vlans + [VLANID("nowhere")!] : vlans)
        case 1: return self.input.pick(self.addresses).map { .queryCommonCEC($0) }
        case 2, 3:
            let size = [1, 100, 101, 1000, 1001, 0, .max][Int(self.input.byte()) % 7]
            return self.input.pick(self.addresses).map { .createSMB(ringByteCount: size, on: $0) }
        case 4:
            let token = self.input.pick(self.owners) ?? self.guess()
            return self.input.pick(self.addresses).map { .bind(token, to: $0) }
        case 5, 6:
            let offer = self.input.pick(self.offers) ?? OfferToken(rawValue: self.input.word())
            let isAccept = kind % 13 == 5
            return self.input.pick(self.addresses).map { isAccept ? .accept(offer, from: $0) : .reject(offer, from: $0) }
        case 7: return .unbindBuffer(self.input.pick(self.buffers) ?? self.guess())
        case 8: return .unbindOwner(self.input.pick(self.owners) ?? self.guess())
        case 9: return .destroy(self.input.pick(self.owners) ?? self.guess())
        case 10:
            let number = self.input.word()
            return number % 2 == 0
                ? .reportClosed(number % 8)
                : .report(ConnectionReport(identifier: number % 8, path: "p", local: "", remote: ""))
        case 11: return .status(firstItem: Int(self.input.byte()))
        default:
            // Any bytes that can be read as a request.
            let packet = self.input.bytes(Int(self.input.byte()))
            guard let header = try? ControlHeader(decoding: packet) else { return nil }
            return try? ControlRequest(decoding: packet, header: header)
        }
    }

    private mutating func guess<Right>() -> Token<Right> {
        Token(high: self.input.word(), low: self.input.word())
    }

    // MARK: Sessions

    private mutating func open() {
        self.lastCaller += 1
        let caller = CallerID(self.lastCaller)
        let outcome = self.model.perform(.open(CallerIdentity(processID: 1, userID: 1)), by: caller)
        self.expect(outcome.effects.isEmpty, "opening a session has effects")
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
        for block in self.rights.reclaiming { self.model.reclaimed(block) }
        let rights = self.rights
        self.expect(rights.lent.isEmpty, "blocks are lost: \(rights.lent)")
        self.expect(rights.pairs.isEmpty, "pairs are left: \(rights.pairs)")
        guard let books = self.books() else { return self.expect(false, "no books") }
        self.expect(books.partitions.isEmpty && books.smbs.isEmpty && books.connections.isEmpty, "\(books) is not empty")
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
