package import SMCControl
internal import SMCMemory
package import SMCProtocol
package import SMCSystem
package import SMCWire
internal import Synchronization

/// This program as a partition of its CEC: its session with the hypervisor, its SMBs, and the signals to and from other
/// partitions.
///
/// A hypervisor that dies takes nothing of established connections with it. The next one is looked for as long as there
/// are any, and told of them.
package final class SharedMemoryPartition: Sendable {
    struct Joined {
        let session: HypervisorSession
        let membership: Membership
        let watch: EventLoop.Key?
    }
    struct WeakPair {
        weak var signals: PairSignals?
    }
    struct State {
        var joined: Joined?
        /// We left: nobody joins again.
        var hasLeft = false
        /// SMBs that we own or accepted, by number; the next hypervisor is shown them.
        var held: [UInt64: WeakHeldSMB] = [:]
        var lastHeld: UInt64 = 0
        /// The next hypervisor is being looked for.
        var isSearching = false
        /// Connections that were reported and are not closed.
        var reports: [UInt64: ConnectionReport] = [:]
        /// By the number of the pair that this session's hypervisor gave. SMBs keep them: the hypervisor forgets a pair
        /// with its last SMB, and the next one gets new descriptors.
        var pairs: [UInt64: WeakPair] = [:]
        /// Nobody asks the hypervisor before then, and why.
        var pause: (until: ContinuousClock.Instant, reason: FallbackReason)?

        var refusal: FallbackReason? { self.pause.flatMap { ContinuousClock.now < $0.until ? $0.reason : nil } }
    }

    let locator: HypervisorLocator
    private let name: String
    private let vlans: [VLANID]
    let ringByteCount: Int
    let loop: EventLoop
    // The session's calls block for the hypervisor's answer: they run here, one after the other.
    let worker = Worker(name: "smc-control")
    let state = Mutex(State())

    package init(
        locator: HypervisorLocator, name: String, vlans: [VLANID], ringByteCount: Int, loop: EventLoop
    ) {
        self.locator = locator
        self.name = name
        self.vlans = vlans
        self.ringByteCount = ringByteCount
        self.loop = loop
    }

    // MARK: Joining

    /// Our place on the CEC; joins (again) if need be.
    package func place() async throws(FallbackReason) -> LocalOffer.SharedMemory {
        let joined = try await self.join()
        return LocalOffer.SharedMemory(
            addresses: joined.membership.addresses.map(\.smgid),
            systemEID: Self.systemEID(of: joined.membership.cec))
    }

    /// The CEC's identity in the form of a system EID.
    package static func systemEID(of cec: CECID) -> EID {
        let digits = String(cec.high ^ cec.low.byteSwapped, radix: 16, uppercase: true)
        let more = String(cec.low & 0xffff_ffff, radix: 16, uppercase: true)
        func padded(_ text: String, _ count: Int) -> String { String(repeating: "0", count: count - text.count) + text }
        guard let eid = EID("SWIFTSMC" + padded(digits, 16) + padded(more, 8)) else {
            preconditionFailure("32 capital letters and digits are an EID")
        }
        return eid
    }

    /// What is known without asking: that we have joined, or why we cannot now.
    private func known() throws(FallbackReason) -> Joined? {
        let (joined, refused) = self.state.withLock { state -> (Joined?, FallbackReason?) in
            if state.hasLeft { return (nil, FallbackReason(.noHypervisor, "the partition has left its hypervisor")) }
            // Not for every connection of a burst: looking for a hypervisor, or waiting for one, takes time.
            if let refusal = state.refusal { return (nil, refusal) }
            return (state.joined, nil)
        }
        if let refused { throw refused }
        return joined
    }

    private func join() async throws(FallbackReason) -> Joined {
        if let known = try self.known() { return known }
        return try await self.worker.run { () throws(FallbackReason) in
            if let known = try self.known() { return known }
            do throws(ControlError) {
                return try self.join(by: self.locator)
            } catch {
                self.pause(error)
                throw FallbackReason(control: error)
            }
        }
    }

    private func pause(_ error: ControlError) {
        self.state.withLock {
            $0.pause = (until: .now.advanced(by: .seconds(1)), reason: FallbackReason(control: error))
        }
    }

    /// On the worker: finds a hypervisor, joins, and tells it of all that an earlier one knew.
    @discardableResult
    func join(by locator: HypervisorLocator) throws(ControlError) -> Joined {
        let session = try locator.connect()
        let membership = try session.join(name: self.name, vlans: self.vlans)
        try self.reregister(session, membership)
        let joined = self.joined(session, membership)
        if self.state.withLock({ $0.hasLeft }) { self.leave() }  // Meanwhile.
        return joined
    }

    private func joined(_ session: HypervisorSession, _ membership: Membership) -> Joined {
        let watch = try? self.loop.add(session.descriptor, for: [.peerClosed]) { [weak self] events in
            if !events.isDisjoint(with: [.peerClosed, .hungUp, .failed]) { self?.lost(session) }
        }
        let joined = Joined(session: session, membership: membership, watch: watch)
        self.state.withLock { state in
            state.joined = joined
            state.pause = nil
            // Another hypervisor counts its pairs anew; SMBs of the last one keep their signals.
            state.pairs.removeAll()
        }
        return joined
    }

    private func lost(_ session: HypervisorSession) {
        let joined = self.state.withLock { state -> Joined? in
            guard let joined = state.joined, joined.session === session else { return nil }
            state.joined = nil
            return joined
        }
        guard let joined else { return }
        FaultPoint.reach("lost")
        if let watch = joined.watch { self.loop.remove(watch) }
        self.search()
    }

    /// Calls of one purpose, on the worker. They wait for others': when their turn comes so late that it would not have
    /// been worth waiting for, they are not made.
    func call<Success: Sendable>(
        _ body: @escaping @Sendable (Joined) throws(ControlError) -> Success
    ) async throws(FallbackReason) -> Success {
        let joined = try await self.join()
        let latest = ContinuousClock.now.advanced(by: HypervisorSession.defaultTimeout)
        return try await self.worker.run { () throws(FallbackReason) in
            if let refusal = self.state.withLock({ $0.refusal }) { throw refusal }
            do throws(ControlError) {
                guard ContinuousClock.now < latest else { throw .timedOut }
                return try body(joined)
            } catch {
                self.failed(joined.session, error)
                throw FallbackReason(control: error)
            }
        }
    }

    /// A hypervisor that is silent is left alone for a while; a session that is of no use any more, although its socket
    /// may still be open, gives way to the next one.
    private func failed(_ session: HypervisorSession, _ error: ControlError) {
        switch error {
        case .timedOut: self.pause(error)
        case .unavailable, .protocolViolation: self.lost(session)
        case .refused, .system: break
        }
    }

    /// Tells the hypervisor what it must learn, if not now then when it answers again: what is not given back would be
    /// missing for as long as we live.
    ///
    /// - Parameter session: the one to be told, at the moment of telling; nil when there is nobody to tell.
    func tell(
        _ session: @escaping @Sendable () -> HypervisorSession?,
        _ body: @escaping @Sendable (HypervisorSession) throws(ControlError) -> Void
    ) {
        self.worker.enqueue { [weak self] in
            guard let self, let current = session() else { return }
            if self.state.withLock({ $0.refusal }) == nil {
                do throws(ControlError) {
                    return try body(current)
                } catch {
                    self.failed(current, error)
                    guard case .timedOut = error else { return }
                }
            }
            self.loop.schedule(after: .seconds(1)) { [weak self] in self?.tell(session, body) }
        }
    }

    /// Leaves: the hypervisor takes everything back when the session ends.
    package func leave() {
        let watch = self.state.withLock { state -> EventLoop.Key? in
            state.hasLeft = true
            state.pairs.removeAll()
            return state.joined.take()?.watch
        }
        if let watch { self.loop.remove(watch) }
    }

    // MARK: Signals

    func signals(_ grant: consuming SignalGrant) throws(ControlError) -> PairSignals {
        let pair = grant.pair
        // Also when it comes with descriptors again, which are of the same arrays and events: two takers of one array
        // would take each other's bits.
        if let known = self.state.withLock({ $0.pairs[pair]?.signals }) { return known }
        guard let new = grant.takeNewPair() else {
            throw .protocolViolation("a signal token for a pair that was never shown")
        }
        FaultPoint.reach("map-pair")
        let signals = try PairSignals(new, loop: self.loop) { [weak self] gone in
            self?.state.withLock { state in state.pairs = state.pairs.filter { $0.value.signals !== gone } }
        }
        self.state.withLock { state in
            state.pairs = state.pairs.filter { $0.value.signals != nil }
            state.pairs[pair] = WeakPair(signals: signals)
        }
        return signals
    }

    // MARK: Reports

    /// Tells the hypervisor of a connection, so that `smc status` can show it.
    package func report(_ report: ConnectionReport) {
        self.state.withLock { $0.reports[report.identifier] = report }
        // To the session that it is then: one that is joining now may not have seen it.
        self.tell { [weak self] in
            self?.state.withLock { $0.joined }?.session
        } _: {
            (session) throws(ControlError) in
            try session.report(report)
        }
    }

    package func reportClosed(_ identifier: UInt64) {
        self.state.withLock { state in _ = state.reports.removeValue(forKey: identifier) }
        self.tell { [weak self] in
            self?.state.withLock { $0.joined }?.session
        } _: {
            (session) throws(ControlError) in
            try session.reportClosed(identifier)
        }
    }

    /// Joins both SMBs of a connection that was proven to be common.
    package func makeTransport(_ offered: Offered, _ accepted: Accepted) -> ElementTransport {
        let medium = SharedMemoryMedium(peer: accepted.element, signals: accepted.signals, bit: accepted.bit)
        let transport = ElementTransport(
            own: offered.element, outgoing: accepted.element, medium: .sharedMemory(medium))
        let heard = { @Sendable [weak transport, weak signals = offered.signals] () -> Void in
            // Not merely gone: then the end of TCP tells what to think of it.
            if signals?.isRevoked == true { transport?.failed(.revoked) } else { transport?.signalled() }
        }
        offered.signals.listen(bit: offered.bit, of: offered.owner, heard)
        // What came while nobody listened.
        heard()
        transport.onRelease { [weak self] in
            self?.release(offered)
            self?.release(accepted)
        }
        return transport
    }
}

extension BufferElement {
    /// Whether a peer's SMB, just mapped, is what CLC said.
    func checkProof() throws(FallbackReason) {
        guard self.hasValidHeader else {
            throw FallbackReason(.memoryNotCommon, "the memory behind the peer's token has no header of our version")
        }
    }
}
