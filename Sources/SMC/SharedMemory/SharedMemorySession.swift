internal import SMCControl
internal import SMCSystem
internal import SMCTransport
internal import SMCWire
internal import Synchronization

/// This program as a partition that uses shared memory buffers (SMBs) directly, instruction by instruction, without
/// connections.
///
/// The memory is reached by tokens only: each move goes through the hypervisor, which checks the right at every use. So
/// a right that is taken back is gone at once. For streams of bytes a ``Connection`` is faster by far. All methods may
/// be called from any task.
public final class SharedMemorySession: Sendable {
    /// One of this partition's addresses.
    public struct Address: Hashable, Sendable {
        /// The name of the VLAN that it is on.
        public var vlan: String
        /// What peers know.
        public var address: SharedMemoryAddress
    }

    private struct Pair {
        let events: PairEvents
        var grantCount: Int
    }

    private struct State {
        var pairs: [UInt64: Pair] = [:]
        /// Who hears of a bit, by pair and bit.
        var buffers: [BitID: WeakBuffer] = [:]
    }

    struct BitID: Hashable {
        let pair: UInt64
        let bit: Int
    }

    private struct WeakBuffer {
        weak var buffer: SharedMemoryBuffer?
    }

    let session: HypervisorSession
    let worker: Worker
    private let waiter = Worker(name: "smc-signals")
    private let poller: Poller
    private let state = Mutex(State())

    private init(_ session: HypervisorSession, _ worker: Worker, _ poller: consuming Poller) {
        self.session = session
        self.worker = worker
        self.poller = poller
    }

    /// Becomes a partition: uses `hypervisor`, `name` and `vlans` of the configuration.
    ///
    /// - Throws: ``SMCError`` with `noHypervisor` or `refused`.
    public static func join(
        _ configuration: Configuration = Configuration()
    ) async throws(SMCError) -> SharedMemorySession {
        let translated = try configuration.translated()
        let worker = Worker(name: "smc-control")
        let session = try await onWorker(worker) { () throws(ControlError) in
            let session = try translated.hypervisor.connect()
            _ = try session.join(name: translated.name, vlans: translated.vlans)
            return session
        }
        do throws(SystemCallError) {
            return SharedMemorySession(session, worker, try Poller())
        } catch {
            throw SMCError(error)
        }
    }

    // MARK: Addresses

    /// Our addresses (seed A24).
    public func addresses() async throws(SMCError) -> [Address] {
        try await self.run { (session) throws(ControlError) in
            try session.addresses().map { Address(vlan: $0.vlan.name, address: SharedMemoryAddress($0.smgid)) }
        }
    }

    /// One more address (seed A39).
    public func establish(vlan: String) async throws(SMCError) -> SharedMemoryAddress {
        let id = try vlanID(vlan)
        return try await self.run { (session) throws(ControlError) in
            SharedMemoryAddress(try session.establish(id).smgid)
        }
    }

    /// Gives an address up.
    ///
    /// - Parameter force: also when SMBs hang on it: they end.
    public func withdraw(_ address: SharedMemoryAddress, force: Bool = false) async throws(SMCError) {
        try await self.run { (session) throws(ControlError) in
            try session.withdraw(address.smgid, isForced: force)
        }
    }

    /// The common-CEC query (seed A45): the VLAN on which we and that address share memory.
    ///
    /// - Throws: ``SMCError`` with `refused` and the reason when we do not.
    public func commonVLAN(with peer: SharedMemoryAddress) async throws(SMCError) -> String {
        try await self.run { (session) throws(ControlError) in
            switch try session.queryCommonCEC(peer.smgid) {
            case .common(let vlan): return vlan.name
            case .notCommon(let code, let text): throw .refused(code, text)
            }
        }
    }

    // MARK: SMBs

    /// Takes an SMB from the pool (seed A25). Destroy it when it is not needed; it ends with this session too.
    ///
    /// - Parameter byteCount: at least so many; all are zero.
    /// - Parameter address: one of ours: the VLAN on which it can be offered.
    public func createBuffer(
        byteCount: Int, on address: SharedMemoryAddress
    ) async throws(SMCError) -> SharedMemoryBuffer {
        let record = try await self.run { (session) throws(ControlError) in
            try session.createUnmappedSMB(ringByteCount: byteCount, on: address.smgid)
        }
        return SharedMemoryBuffer(self, .owner(record.owner, address), byteCount: record.fileByteCount)
    }

    /// Takes an SMB that was offered to us (seed A28).
    public func accept(_ offer: SharedMemoryOffer) async throws(SMCError) -> SharedMemoryBuffer {
        try await self.run { (session) throws(ControlError) in
            let accepted = try session.acceptUnmapped(OfferToken(rawValue: offer.number), from: offer.owner.smgid)
            let record = accepted.record
            let bit = try self.keep(accepted.takeSignal())
            let buffer = SharedMemoryBuffer(
                self, .peer(record.buffer, offer.owner, record.signal.token, bit), byteCount: record.fileByteCount)
            self.listen(buffer, bit)
            return buffer
        }
    }

    /// Turns an offer down (seed A29).
    public func reject(_ offer: SharedMemoryOffer) async throws(SMCError) {
        try await self.run { (session) throws(ControlError) in
            try session.reject(OfferToken(rawValue: offer.number), from: offer.owner.smgid)
        }
    }

    // MARK: Signals

    /// Reads and clears our status bits (seed A55).
    ///
    /// - Parameter timeout: how long to wait for the first one.
    /// - Returns: the buffers whose counterpart has signalled, or has ended the binding or itself; empty when nobody
    ///   has in time.
    public func signalledBuffers(waiting timeout: Duration = .zero) async throws(SMCError) -> [SharedMemoryBuffer] {
        let pairs = try await onWorker(self.waiter) { () throws(ControlError) in
            do throws(SystemCallError) {
                var occurrences: [Poller.Occurrence] = []
                let milliseconds = Int32(clamping: Int64(min(max(timeout / .milliseconds(1), 0), 2e9)))
                try self.poller.wait(timeoutMilliseconds: milliseconds, into: &occurrences)
                return occurrences.map(\.key)
            } catch {
                throw .system(error)
            }
        }
        guard !pairs.isEmpty else { return [] }
        return try await self.run { (session) throws(ControlError) in
            var buffers: [SharedMemoryBuffer] = []
            for pair in pairs { buffers += try self.take(pair, session) }
            return buffers
        }
    }

    private func take(_ pair: UInt64, _ session: HypervisorSession) throws(ControlError) -> [SharedMemoryBuffer] {
        do throws(ControlError) {
            let words = try session.takeStatusBits(pair: pair)
            return self.state.withLock { state in
                var found: [SharedMemoryBuffer] = []
                for (index, word) in words.enumerated() {
                    for bit in 0..<64 where word >> UInt64(bit) & 1 == 1 {
                        let id = BitID(pair: pair, bit: index * 64 + bit)
                        if let buffer = state.buffers[id]?.buffer { found.append(buffer) }
                    }
                }
                return found
            }
        } catch {
            guard case .refused(.badToken, _) = error else { throw error }
            // The pair has ended: with its last binding, or with the counterpart.
            let (events, found) = self.state.withLock { state in
                let ended = state.buffers.filter { $0.key.pair == pair }
                for id in ended.keys { state.buffers[id] = nil }
                return (state.pairs.removeValue(forKey: pair)?.events, ended.values.compactMap(\.buffer))
            }
            if let events { try? self.poller.remove(events.resources.incomingEvent.descriptor.rawValue) }
            return found
        }
    }

    /// Keeps what came with a grant, and counts it.
    func keep(_ grant: consuming SignalGrant) throws(ControlError) -> BitID {
        let id = BitID(pair: grant.pair, bit: grant.bit)
        let events = PairEvents(grant.takeNewPair())
        let old = self.state.withLock { state -> PairEvents? in
            guard let events else {
                state.pairs[id.pair]?.grantCount += 1
                return nil
            }
            return state.pairs.updateValue(Pair(events: events, grantCount: 1), forKey: id.pair)?.events
        }
        guard let events else { return id }
        do throws(SystemCallError) {
            if let old { try self.poller.remove(old.resources.incomingEvent.descriptor.rawValue) }
            try self.poller.add(events.resources.incomingEvent.descriptor.rawValue, for: .readable, key: id.pair)
        } catch {
            throw .system(error)
        }
        return id
    }

    func listen(_ buffer: SharedMemoryBuffer, _ id: BitID) {
        self.state.withLock { $0.buffers[id] = WeakBuffer(buffer: buffer) }
    }

    /// A grant has ended.
    func release(_ id: BitID) {
        let events = self.state.withLock { state -> PairEvents? in
            state.buffers[id] = nil
            guard let pair = state.pairs[id.pair] else { return nil }
            state.pairs[id.pair]?.grantCount -= 1
            guard pair.grantCount == 1 else { return nil }
            state.pairs[id.pair] = nil
            return pair.events
        }
        if let events { try? self.poller.remove(events.resources.incomingEvent.descriptor.rawValue) }
    }

    func run<Success: Sendable>(
        _ body: @escaping @Sendable (HypervisorSession) throws(ControlError) -> Success
    ) async throws(SMCError) -> Success {
        try await onWorker(self.worker) { () throws(ControlError) in try body(self.session) }
    }
}

/// The descriptors of a pair, for as long as somebody listens.
private final class PairEvents: Sendable {
    let resources: PairResources

    init?(_ resources: consuming PairResources?) {
        guard let resources else { return nil }
        self.resources = resources
    }
}
