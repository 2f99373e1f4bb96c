package import SMCControl
package import SMCMemory
package import SMCProtocol
package import SMCSystem
package import SMCWire
internal import Synchronization

/// This program as a partition of its CEC: its session with the hypervisor, its SMBs, and the signals to and from other
/// partitions.
///
/// A hypervisor that dies takes nothing of established connections with it; the next connection looks for a new one.
package final class SharedMemoryPartition: Sendable {
    private struct Joined {
        let session: HypervisorSession
        let membership: Membership
        let watch: EventLoop.Key?
    }
    private struct WeakPair {
        weak var signals: PairSignals?
    }
    private struct State {
        var joined: Joined?
        /// By the number of the pair that this session's hypervisor gave. SMBs keep them: the hypervisor forgets a pair
        /// with its last SMB, and the next one gets new descriptors.
        var pairs: [UInt64: WeakPair] = [:]
        var retryNotBefore: ContinuousClock.Instant?
        var lastReason: FallbackReason?
    }

    private let locator: HypervisorLocator
    private let name: String
    private let vlans: [VLANID]
    private let ringByteCount: Int
    private let loop: EventLoop
    // The session's calls block for the hypervisor's answer: they run here, one after the other.
    private let worker = Worker(name: "smc-control")
    private let state = Mutex(State())

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
    static func systemEID(of cec: CECID) -> EID {
        let digits = String(cec.high ^ cec.low.byteSwapped, radix: 16, uppercase: true)
        let more = String(cec.low & 0xffff_ffff, radix: 16, uppercase: true)
        func padded(_ text: String, _ count: Int) -> String { String(repeating: "0", count: count - text.count) + text }
        guard let eid = EID("SWIFTSMC" + padded(digits, 16) + padded(more, 8)) else {
            preconditionFailure("32 capital letters and digits are an EID")
        }
        return eid
    }

    private func join() async throws(FallbackReason) -> Joined {
        let known: Joined?
        let refused: FallbackReason?
        (known, refused) = self.state.withLock { state in
            if let joined = state.joined { return (joined, nil) }
            // Not for every connection of a burst: looking for a hypervisor takes time.
            if let notBefore = state.retryNotBefore, ContinuousClock.now < notBefore { return (nil, state.lastReason) }
            return (nil, nil)
        }
        if let known { return known }
        if let refused { throw refused }
        return try await self.worker.run { () throws(FallbackReason) in
            if let joined = self.state.withLock({ $0.joined }) { return joined }
            do throws(ControlError) {
                let session = try self.locator.connect()
                let membership = try session.join(name: self.name, vlans: self.vlans)
                return self.joined(session, membership)
            } catch {
                let reason = FallbackReason(control: error)
                self.state.withLock { state in
                    state.retryNotBefore = .now.advanced(by: .seconds(1))
                    state.lastReason = reason
                }
                throw reason
            }
        }
    }

    private func joined(_ session: HypervisorSession, _ membership: Membership) -> Joined {
        let watch = try? self.loop.add(session.descriptor, for: [.peerClosed]) { [weak self] events in
            if !events.isDisjoint(with: [.peerClosed, .hungUp, .failed]) { self?.lost(session) }
        }
        let joined = Joined(session: session, membership: membership, watch: watch)
        self.state.withLock { state in
            state.joined = joined
            // Another hypervisor counts its pairs anew; SMBs of the last one keep their signals.
            state.pairs.removeAll()
        }
        return joined
    }

    private func lost(_ session: HypervisorSession) {
        let watch = self.state.withLock { state -> EventLoop.Key? in
            guard let joined = state.joined, joined.session === session else { return nil }
            state.joined = nil
            return joined.watch
        }
        if let watch { self.loop.remove(watch) }
    }

    /// Leaves: the hypervisor takes everything back when the session ends.
    package func leave() {
        let watch = self.state.withLock { state -> EventLoop.Key? in
            state.pairs.removeAll()
            return state.joined.take()?.watch
        }
        if let watch { self.loop.remove(watch) }
    }

    // MARK: SMBs

    /// An SMB of ours, offered to a peer.
    package struct Offered: Sendable {
        /// Goes into CLC as the DMB token.
        package let offer: OfferToken
        package let address: SMGID
        package let element: BufferElement
        package let challenge: MemoryChallenge
        let owner: OwnerToken
        let mapping: Mapping
        let signals: PairSignals
        let bit: Int
        let session: HypervisorSession

        /// Has `body` called when the peer signals something about this SMB.
        package func whenSignalled(_ body: @escaping @Sendable () -> Void) {
            self.signals.listen(bit: self.bit, of: self.owner, body)
        }

        /// The SMB in the words of CLC.
        package func endpoint(linkID: UInt32) -> DMBEndpoint {
            guard let size = CompressedSize(holding: self.element.ringByteCount) else {
                preconditionFailure("rings are powers of two from 16 KiB to 512 MiB")
            }
            return DMBEndpoint(
                gid: self.address, dmbToken: self.offer.rawValue, elementSize: size, linkID: linkID,
                channel: HandshakeConstants.channel)
        }
    }

    /// A peer's SMB, accepted.
    package struct Accepted: Sendable {
        package let element: BufferElement
        let buffer: BufferToken
        let mapping: Mapping
        let signals: PairSignals
        let bit: Int
        let session: HypervisorSession

        /// Answers the peer's challenge in its memory, and signals it.
        package func respond() {
            self.element.respond(self.element.challenge.expectedResponse)
            self.signals.signal(bit: self.bit)
        }
    }

    /// The common-CEC query (seed A45), for each address until one is common.
    ///
    /// - Returns: the peer's address, and ours on the same VLAN.
    package func findCommon(_ peers: [SMGID]) async throws(FallbackReason) -> (peer: SMGID, ours: SMGID) {
        let joined = try await self.join()
        return try await self.worker.run { () throws(FallbackReason) in
            var reason = FallbackReason(.peerDidNotOffer, "the peer named no address on a VLAN")
            for peer in peers {
                do throws(ControlError) {
                    switch try joined.session.queryCommonCEC(peer) {
                    case .common(let vlan):
                        guard let ours = joined.membership.addresses.first(where: { $0.vlan == vlan }) else { continue }
                        return (peer, ours.smgid)
                    case .notCommon(let refusal, let text):
                        reason = FallbackReason(refusal: refusal, text)
                    }
                } catch {
                    throw FallbackReason(control: error)
                }
            }
            throw reason
        }
    }

    /// Creates an SMB and binds it to a peer (seed A25, A27). A smaller ring is taken when the pool has no larger one.
    package func offer(to peer: SMGID, from address: SMGID) async throws(FallbackReason) -> Offered {
        let joined = try await self.join()
        return try await self.worker.run { () throws(FallbackReason) in
            do throws(ControlError) {
                let created = try self.create(joined, address)
                let bound = try Self.undoing({ () throws(ControlError) in try joined.session.destroy(created.owner) }) {
                    () throws(ControlError) in try joined.session.bind(created.owner, to: peer)
                }
                let mapping = try Self.map(created.file, created.ringByteCount)
                let element = BufferElement(sharedMemory: mapping, ringByteCount: created.ringByteCount)
                let challenge = MemoryChallenge.random()
                element.writeHeader(challenge: challenge)
                let (owner, offer) = (created.owner, bound.offer)
                let grant = bound.takeSignal()
                let bit = grant.bit
                let signals = try self.signals(grant)
                return Offered(
                    offer: offer, address: address, element: element, challenge: challenge, owner: owner,
                    mapping: mapping, signals: signals, bit: bit, session: joined.session)
            } catch {
                throw FallbackReason(control: error)
            }
        }
    }

    private func create(_ joined: Joined, _ address: SMGID) throws(ControlError) -> CreatedSMB {
        var size = min(self.ringByteCount, joined.membership.largestRingByteCount)
        while true {
            do throws(ControlError) {
                return try joined.session.createSMB(ringByteCount: size, on: address)
            } catch {
                guard case .refused(.poolExhausted, _) = error,
                    size / 4 >= BufferElementLayout.ringByteCountRange.lowerBound
                else { throw error }
                size /= 4
            }
        }
    }

    /// Accepts a peer's SMB (seed A28): receives the memory and maps it.
    package func accept(_ offer: OfferToken, from owner: SMGID) async throws(FallbackReason) -> Accepted {
        let joined = try await self.join()
        return try await self.worker.run { () throws(FallbackReason) in
            do throws(ControlError) {
                let accepted = try joined.session.accept(offer, from: owner)
                let size = accepted.ringByteCount
                let mapping = try Self.map(accepted.file, size)
                let element = BufferElement(sharedMemory: mapping, ringByteCount: size)
                let buffer = accepted.buffer
                let grant = accepted.takeSignal()
                let bit = grant.bit
                let signals = try self.signals(grant)
                return Accepted(
                    element: element, buffer: buffer, mapping: mapping, signals: signals, bit: bit,
                    session: joined.session)
            } catch {
                throw FallbackReason(control: error)
            }
        }
    }

    /// Refuses a peer's offer (seed A29).
    package func reject(_ offer: OfferToken, from owner: SMGID) {
        guard let joined = self.state.withLock({ $0.joined }) else { return }
        self.worker.enqueue { try? joined.session.reject(offer, from: owner) }
    }

    /// Gives an SMB of ours back.
    package func release(_ offered: Offered) {
        offered.signals.stopListening(bit: offered.bit, of: offered.owner)
        offered.mapping.detach()
        // With the whole value: its pair must live until the hypervisor knows that the SMB does not.
        self.worker.enqueue { withExtendedLifetime(offered) { try? offered.session.destroy(offered.owner) } }
    }

    /// Lets a peer's SMB go.
    package func release(_ accepted: Accepted) {
        accepted.mapping.detach()
        self.worker.enqueue { withExtendedLifetime(accepted) { try? accepted.session.unbind(accepted.buffer) } }
    }

    private static func map(
        _ file: borrowing MemoryFile, _ ringByteCount: Int
    ) throws(ControlError) -> Mapping {
        guard BufferElementLayout.isValid(ringByteCount: ringByteCount),
            file.byteCount >= BufferElementLayout.controlByteCount + ringByteCount
        else { throw .protocolViolation("an SMB of \(file.byteCount) bytes with a ring of \(ringByteCount)") }
        do throws(SystemCallError) {
            return try BufferElement.map(file, ringByteCount: ringByteCount)
        } catch {
            throw .system(error)
        }
    }

    private static func undoing<Success: ~Copyable>(
        _ undo: () throws(ControlError) -> Void, _ body: () throws(ControlError) -> Success
    ) throws(ControlError) -> Success {
        do throws(ControlError) {
            return try body()
        } catch {
            try? undo()
            throw error
        }
    }

    // MARK: Signals

    private func signals(_ grant: consuming SignalGrant) throws(ControlError) -> PairSignals {
        let pair = grant.pair
        // Also when it comes with descriptors again, which are of the same arrays and events: two takers of one array
        // would take each other's bits.
        if let known = self.state.withLock({ $0.pairs[pair]?.signals }) { return known }
        guard let new = grant.takeNewPair() else {
            throw .protocolViolation("a signal token for a pair that was never shown")
        }
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
        guard let joined = self.state.withLock({ $0.joined }) else { return }
        self.worker.enqueue { try? joined.session.report(report) }
    }

    package func reportClosed(_ identifier: UInt64) {
        guard let joined = self.state.withLock({ $0.joined }) else { return }
        self.worker.enqueue { try? joined.session.reportClosed(identifier) }
    }

    /// Joins both SMBs of a connection that was proven to be common.
    package func makeTransport(_ offered: Offered, _ accepted: Accepted) -> ElementTransport {
        let medium = SharedMemoryMedium(peer: accepted.element, signals: accepted.signals, bit: accepted.bit)
        let transport = ElementTransport(
            own: offered.element, outgoing: accepted.element, medium: .sharedMemory(medium))
        offered.signals.listen(bit: offered.bit, of: offered.owner) { [weak transport] in transport?.signalled() }
        // What came while nobody listened.
        transport.signalled()
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

extension FallbackReason {
    /// Why the hypervisor could not do what we asked.
    init(control error: ControlError) {
        switch error {
        case .refused(let refusal, let text): self.init(refusal: refusal, text.isEmpty ? refusal.sentence : text)
        case .unavailable, .timedOut: self.init(.noHypervisor, "no hypervisor: \(error)")
        case .protocolViolation, .system: self.init(.internalError, "the hypervisor: \(error)")
        }
    }

    init(refusal: HypervisorRefusal, _ text: String) {
        let code: Code =
            switch refusal {
            case .poolExhausted: .poolExhausted
            case .notOnCommonVLAN, .unknownVLAN: .differentVLAN
            case .unknownPartition: .differentCEC
            default: .hypervisorRefused
            }
        self.init(code, text.isEmpty ? refusal.sentence : text)
    }
}
