package import SMCProtocol
package import SMCSystem
package import SMCVerbs
package import SMCWire
internal import Synchronization

/// What a program has open for RDMA: devices, link groups, and the way to each peer.
package final class RDMAEngine: Sendable {
    private let loop: EventLoop
    /// Verbs calls block in the kernel; they run here.
    private let worker = Worker(name: "smc-verbs")
    private let ringByteCount: Int
    /// Two random bytes of our peer ID.
    private let instance = UInt16.random(in: 1 ... .max)

    private struct State {
        var groups: [LinkGroup] = []
        /// Those whose first contact is not over.
        var forming: [LinkGroup] = []
        /// Devices whose events are watched, by name.
        var watched: [String: Watched] = [:]
        var firstContacts: [RemoteHost: AsyncGate] = [:]
        var isClosed = false
    }
    /// Kept until the device is removed, in use or not: librdmacm has it open from the first route on, and the kernel
    /// holds a removal up until that is over.
    private struct Watched {
        let device: DeviceContext
        var keys: [EventLoop.Key]
    }
    private let state = Mutex(State())

    package init(loop: EventLoop, ringByteCount: Int) {
        self.loop = loop
        self.ringByteCount = ringByteCount
    }

    /// Our name on a route.
    package func peerID(on end: LinkEnd?) -> PeerID {
        PeerID(instance: self.instance, macAddress: end?.macAddress ?? .zero)
    }

    /// The way to a peer by RDMA.
    ///
    /// - Parameter source: nil before the TCP connection exists.
    package func route(
        from source: SocketAddress?, to destination: SocketAddress
    ) async throws(FallbackReason) -> RDMARoute {
        let route = try await self.worker.run { () throws(FallbackReason) in
            do throws(VerbsError) {
                return try RDMARoute.resolve(
                    from: source?.unmapped.bytes, to: destination.unmapped.bytes,
                    timeout: source == nil ? RDMALimits.earlyResolveTimeout : RDMALimits.resolveTimeout)
            } catch {
                switch error.reason {
                case .noDevice: throw FallbackReason(.noDevice, "this host has no RDMA device")
                default: throw FallbackReason(.noRoute, "no RDMA route to \(destination): \(error)")
                }
            }
        }
        self.watch(route.device)
        return route
    }

    // MARK: Link groups

    /// The group in which we are the server for this peer, if it has room.
    package func serverGroup(for peer: RemoteHost) -> LinkGroup? {
        self.state.withLock { state in
            state.groups.first { $0.role == .server && $0.peer == peer && $0.hasRoom }
        }
    }

    /// One first contact with a peer at a time, so that whoever comes second finds the group that the first one made.
    package func firstContactGate(for peer: RemoteHost) -> AsyncGate {
        self.state.withLock { state in
            if let gate = state.firstContacts[peer] { return gate }
            state.firstContacts = state.firstContacts.filter { !$0.value.isIdle }
            let gate = AsyncGate(loop: self.loop)
            state.firstContacts[peer] = gate
            return gate
        }
    }

    /// The group in which we are the client, by the link's other end that the Accept names (PROTOCOL 2.9).
    package func clientGroup(peerGID: SMCWire.GID, queuePairNumber: UInt32) -> LinkGroup? {
        self.state.withLock { state in
            // Also one whose first contact is over at the other end, and here in a moment: the server may name it before.
            (state.groups + state.forming).first { group in
                group.role == .client && group.peer.gid == peerGID
                    && group.remoteQueuePairNumber == queuePairNumber && group.link.isActive
            }
        }
    }

    /// Makes a group with its first link, whose queue pair is in INIT with receives posted.
    ///
    /// It is not found by others until ``add(_:)``.
    /// - Parameter remoteQueuePairNumber: of the link's other end; a server does not know it yet.
    package func makeGroup(
        role: LinkState.Role, peer: RemoteHost, route: RDMARoute, maxConnections: UInt8,
        remoteQueuePairNumber: UInt32? = nil
    ) async throws(FallbackReason) -> LinkGroup {
        let callbacks = RDMALink.Callbacks { [weak self] link, _ in self?.wentDown(link) }
        let (loop, ringByteCount, worker) = (self.loop, self.ringByteCount, self.worker)
        let group = try await self.worker.run { () throws(FallbackReason) in
            do {
                let domain = try ProtectionDomain(route.device)
                let link = try RDMALink(
                    domain, route: route, loop: loop, role: role,
                    maxConnections: maxConnections, callbacks: callbacks)
                return LinkGroup(
                    role: role, peer: peer, link: link, domain: domain, worker: worker, ringByteCount: ringByteCount,
                    maxConnections: Int(maxConnections), remoteQueuePairNumber: remoteQueuePairNumber)
            } catch {
                throw FallbackReason(.registrationFailed, "cannot make a queue pair on \(route.device.name): \(error)")
            }
        }
        self.state.withLock { $0.forming.append(group) }
        if route.device.isRemoved { self.drop(group, "the RDMA device \(route.device.name) was removed") }
        return group
    }

    /// Runs a call that moves a queue pair, which may block in the kernel.
    package func onWorker(_ body: @escaping @Sendable () throws -> Void) async throws(FallbackReason) {
        try await self.worker.run { () throws(FallbackReason) in
            do {
                try body()
            } catch {
                throw FallbackReason(.linkFailed, "\(error)")
            }
        }
    }

    /// From now on later connections may use the group.
    package func add(_ group: LinkGroup) {
        self.state.withLock { state in
            guard let index = state.forming.firstIndex(where: { $0 === group }) else { return }  // It is down already.
            state.groups.append(state.forming.remove(at: index))
        }
    }

    /// Ends a group that is of no use.
    package func drop(_ group: LinkGroup, _ reason: String) {
        self.loop.execute { group.link.takeDown(reason) }
    }

    private func wentDown(_ link: RDMALink) {
        let gone = self.state.withLock { state in
            let gone = (state.groups + state.forming).filter { $0.link === link }
            state.groups.removeAll { $0.link === link }
            state.forming.removeAll { $0.link === link }
            return gone
        }
        for group in gone { group.wentDown() }
    }

    /// Ends all groups in order: peers are told.
    package func close() async {
        let (groups, forming) = self.state.withLock { state in
            state.isClosed = true
            return (state.groups, state.forming)
        }
        for group in forming { self.drop(group, "the program leaves") }
        for group in groups { await group.link.endGroup() }
        let watched = self.state.withLock { state in
            let watched = Array(state.watched.values)
            state.watched.removeAll()
            return watched
        }
        for key in watched.flatMap(\.keys) { self.loop.remove(key) }
    }

    // MARK: Devices

    private func watch(_ device: DeviceContext) {
        self.state.withLock { state in
            guard !state.isClosed, !device.isRemoved, state.watched[device.name]?.device !== device else { return }
            // One of that name that is gone: its descriptors may be open as something else by now.
            for key in state.watched[device.name]?.keys ?? [] { self.loop.remove(key) }
            var keys: [EventLoop.Key] = []
            for descriptor in [device.managementDescriptor, device.asyncDescriptor] {
                let key = try? self.loop.add(descriptor, for: .readable) { [weak self, weak device] _ in
                    guard let device else { return }
                    self?.eventsCame(device)
                }
                if let key { keys.append(key) }
            }
            state.watched[device.name] = Watched(device: device, keys: keys)
        }
    }

    private func eventsCame(_ device: DeviceContext) {
        while let event = try? device.nextEvent() {
            switch event {
            case .removed, .deviceFatal: self.lost(device)
            case .addressChanged, .portError, .portActive, .queuePairFatal, .other:
                break  // A link that suffers from it fails by itself.
            }
        }
    }

    /// The kernel waits until nobody uses a removed device: everything on it goes now.
    private func lost(_ device: DeviceContext) {
        self.state.withLock { state in
            guard state.watched[device.name]?.device === device else { return }
            for key in state.watched[device.name]?.keys ?? [] { self.loop.remove(key) }
            state.watched[device.name] = nil
        }
        let groups = self.state.withLock { $0.groups + $0.forming }
        for group in groups where group.link.uses(device) {
            group.link.takeDown("the RDMA device \(device.name) was removed")
        }
    }
}

extension SMCWire.GID {
    /// The same address in the words of this protocol.
    init(_ gid: SMCVerbs.GID) {
        self.init(rawValue: UInt128(gid.high) << 64 | UInt128(gid.low))
    }
}

extension SMCVerbs.GID {
    /// The same address in the words of verbs.
    init(_ gid: SMCWire.GID) {
        self.init(high: UInt64(truncatingIfNeeded: gid.rawValue >> 64), low: UInt64(truncatingIfNeeded: gid.rawValue))
    }
}
