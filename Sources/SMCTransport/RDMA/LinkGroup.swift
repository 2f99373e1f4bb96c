internal import SMCMemory
package import SMCProtocol
internal import SMCSystem
package import SMCVerbs
package import SMCWire
internal import Synchronization

/// All that two hosts share for RDMA: the link, the RMBs registered for it, and the connections on it (RFC 7609, 2.2).
///
/// A second link, and moving connections between links, will live here; today a group has one link, and ends with it.
package final class LinkGroup: Sendable {
    package let role: LinkState.Role
    package let peer: RemoteHost
    package let link: RDMALink
    /// Names the link at the other end; a client finds its group by it.
    package let remoteQueuePairNumber: UInt32?
    private let worker: Worker
    private let ringByteCount: Int
    private let maxConnections: Int
    /// Held while buffers are announced: Confirm RKey is one flow at a time.
    private let announcing: AsyncGate

    private struct State {
        var receiving: [RegisteredBuffers] = []
        /// Images of peers' rings, by their size.
        var sending: [Int: [RegisteredBuffers]] = [:]
        /// The numbers that peers know our ends by, from their choice until the connection is over.
        var alertTokens: Set<UInt32> = []
        /// Dropped when the link goes down: it holds the device.
        var domain: ProtectionDomain?
    }
    private let state: Mutex<State>

    init(
        role: LinkState.Role, peer: RemoteHost, link: RDMALink, domain: ProtectionDomain, worker: Worker,
        ringByteCount: Int, maxConnections: Int, remoteQueuePairNumber: UInt32?
    ) {
        self.remoteQueuePairNumber = remoteQueuePairNumber
        self.role = role
        self.peer = peer
        self.link = link
        self.announcing = AsyncGate(loop: link.loop)
        self.worker = worker
        self.ringByteCount = ringByteCount
        self.maxConnections = maxConnections
        self.state = Mutex(State(domain: domain))
    }

    /// Our end of a connection to be: an element of an RMB, and the number that the peer will use.
    package struct Reservation: Sendable {
        package let slot: RegisteredBuffers.Slot
        package let alertToken: UInt32
        /// Key and address of the whole RMB, as CLC wants them.
        package let buffer: RemoteAddress
    }

    /// Whether a new connection may use the group.
    package var hasRoom: Bool {
        self.link.isActive && self.state.withLock { $0.domain != nil && $0.alertTokens.count < self.maxConnections }
    }

    /// Takes an element, registering and announcing another RMB if all are taken.
    ///
    /// - Parameter announces: false at the first contact, where CLC itself carries the key.
    package func reserve(
        announces: Bool, until deadline: ContinuousClock.Instant
    ) async throws(FallbackReason) -> Reservation {
        let slot = try await self.takeReceiveSlot(announces: announces, until: deadline)
        guard let buffer = slot.buffers.remote else {
            throw FallbackReason(.noDevice, "the RDMA device went away")
        }
        let alertToken = self.state.withLock { state in
            var token: UInt32
            repeat { token = .random(in: 1 ... .max) } while !state.alertTokens.insert(token).inserted
            return token
        }
        self.link.expect(alertToken)
        return Reservation(slot: slot, alertToken: alertToken, buffer: buffer)
    }

    /// Gives back what ``reserve(announces:until:)`` gave.
    package func cancel(_ reservation: Reservation) {
        self.link.detach(reservation.alertToken)
        self.state.withLock { _ = $0.alertTokens.remove(reservation.alertToken) }
        reservation.slot.giveBack()
    }

    private func takeFreeSlot() -> RegisteredBuffers.Slot? {
        self.state.withLock { state in
            for buffers in state.receiving {
                if let slot = buffers.take() { return slot }
            }
            return nil
        }
    }

    private func takeReceiveSlot(
        announces: Bool, until deadline: ContinuousClock.Instant
    ) async throws(FallbackReason) -> RegisteredBuffers.Slot {
        if let slot = self.takeFreeSlot() { return slot }
        let slot = try await self.announcing.alone(until: deadline) { () async throws(FallbackReason) in
            if let slot = self.takeFreeSlot() { return slot }
            let buffers = try await self.register(self.ringByteCount, count: RDMALimits.elementsPerBuffer)
            if announces {
                guard let remote = buffers.remote else { throw FallbackReason(.noDevice, "the RDMA device went away") }
                do throws(TransportError) {
                    try await self.link.announce(
                        remote, until: min(deadline, .now.advanced(by: RDMALimits.llcTimeout)))
                } catch {
                    throw FallbackReason(.linkFailed, "announcing an RMB (Confirm RKey) failed: \(error)")
                }
            }
            guard let slot = buffers.take() else { preconditionFailure("a new RMB is empty") }
            self.state.withLock { $0.receiving.append(buffers) }
            return slot
        }
        guard let slot else { throw FallbackReason(.linkFailed, "announcing RMBs (Confirm RKey) took too long") }
        return slot
    }

    private func register(_ ringByteCount: Int, count: Int) async throws(FallbackReason) -> RegisteredBuffers {
        guard let domain = self.state.withLock({ $0.domain }) else {
            throw FallbackReason(.linkFailed, "the RDMA link is down")
        }
        return try await self.worker.run { () throws(FallbackReason) in
            do {
                return try RegisteredBuffers(domain, ringByteCount: ringByteCount, count: count)
            } catch {
                throw FallbackReason(
                    .registrationFailed, "cannot register \(ringByteCount * count) bytes for RDMA: \(error)")
            }
        }
    }

    /// Joins our reserved end with the peer's: the connection can carry data.
    package func join(
        _ reservation: Reservation, to peer: RDMAEndpoint
    ) async throws(FallbackReason) -> ElementTransport {
        let peerRingByteCount = peer.elementSize.byteCount
        guard BufferElementLayout.isValid(ringByteCount: peerRingByteCount), peer.alertToken != 0 else {
            throw FallbackReason(.synchronization, "the peer's buffer of \(peerRingByteCount) bytes is not usable")
        }
        let image = try await self.takeImage(of: peerRingByteCount)
        let offset = UInt64(peer.elementIndex - 1) &* UInt64(peerRingByteCount)
        let target = RDMAMedium.Target(
            remote: RemoteAddress(address: peer.address &+ offset, key: peer.rkey),
            ringByteCount: peerRingByteCount, alertToken: peer.alertToken)
        let medium = RDMAMedium(
            alertToken: reservation.alertToken, target: target, image: image, own: reservation.slot, link: self.link)
        let transport = ElementTransport(
            own: reservation.slot.element, outgoing: image.element, medium: .rdma(medium))
        self.link.attach(transport, medium)
        return transport
    }

    /// The connection is over on both sides: its element may serve another one.
    package func release(_ reservation: Reservation, _ transport: ElementTransport) {
        guard let medium = self.link.mediums.withLock({ $0[reservation.alertToken] }) else { return }
        medium.image.giveBack()
        self.cancel(reservation)
    }

    private func takeImage(of ringByteCount: Int) async throws(FallbackReason) -> RegisteredBuffers.Slot {
        func takeFree() -> RegisteredBuffers.Slot? {
            self.state.withLock { state in
                for buffers in state.sending[ringByteCount] ?? [] {
                    if let slot = buffers.take() { return slot }
                }
                return nil
            }
        }
        if let slot = takeFree() { return slot }
        guard
            let count = RDMALimits.imagesPerRegistration(
                ringByteCount: ringByteCount, ownRingByteCount: self.ringByteCount)
        else {
            throw FallbackReason(.registrationFailed, "the peer's ring of \(ringByteCount) bytes is too large for us")
        }
        let buffers = try await self.register(ringByteCount, count: count)
        let slot = buffers.take()
        self.state.withLock { $0.sending[ringByteCount, default: []].append(buffers) }
        guard let slot else { preconditionFailure("new images are free") }
        return slot
    }

    /// The link is down: gives all registrations up.
    func wentDown() {
        let all = self.state.withLock { state in
            state.domain = nil
            return state.receiving + state.sending.values.flatMap(\.self)
        }
        for buffers in all { buffers.dropRegistration() }
    }
}
