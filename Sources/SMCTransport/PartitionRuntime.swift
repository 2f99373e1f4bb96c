internal import SMCControl
package import SMCProtocol
package import SMCSystem
internal import SMCVerbs
internal import SMCWire
internal import Synchronization

/// A partition at run time: its event loop, its place on the CEC, its RDMA links, and the connections that are being
/// set up and ended.
package final class PartitionRuntime: Sendable {
    package let configuration: PartitionConfiguration
    package let loop: EventLoop
    let sharedMemory: SharedMemoryPartition
    let rdma: RDMAEngine
    private let resolver = Worker(name: "smc-resolver")
    /// Tells our program from others on this host.
    private let instance = UInt32.random(in: 1 ... .max)
    private let nextReport = Atomic<UInt64>(1)
    private let hostName = HostName(Processor.hostName)
    private struct WeakConnection {
        weak var connection: StreamConnection?
    }
    private struct Established {
        /// Connections that nobody has closed, by the number under which the hypervisor knows them.
        var connections: [UInt64: WeakConnection] = [:]
        /// No connection is to come any more: what a handshake still brings about is aborted.
        var isClosed = false
    }
    private let established = Mutex(Established())
    private struct Ending {
        let transport: ElementTransport
        let channel: TCPChannel
    }
    /// What hears of the peer's end, from the start until both sides have ended: a program drops a connection that it
    /// has closed, and the peer may close later.
    private let ending = Mutex<[UInt64: Ending]>([:])

    package init(configuration: PartitionConfiguration) throws(SystemCallError) {
        self.configuration = configuration
        self.loop = try EventLoop(name: "smc-loop")
        self.sharedMemory = SharedMemoryPartition(
            locator: configuration.hypervisor, name: configuration.name, vlans: configuration.vlans,
            ringByteCount: configuration.sharedMemoryRingByteCount, loop: self.loop)
        self.rdma = RDMAEngine(loop: self.loop, ringByteCount: configuration.rdmaRingByteCount)
    }

    /// Leaves the hypervisor and ends all link groups. Connections that are still open fail.
    package func close() async {
        let open = self.established.withLock { established in
            established.isClosed = true
            return established.connections.values.compactMap(\.connection)
        }
        for connection in open { connection.abort() }
        await self.rdma.close()
        self.sharedMemory.leave()
        self.loop.stop()
        // The hypervisor takes everything back by itself.
        let dropped = self.ending.withLock { $0 }
        self.ending.withLock { $0 = [:] }
        withExtendedLifetime(dropped) {}
    }

    deinit {
        self.loop.stop()
    }

    /// Finds out early whether there is a hypervisor.
    package func join() async throws(FallbackReason) {
        _ = try await self.sharedMemory.place()
    }

    // MARK: What we can offer

    struct Gathered: Sendable {
        var offer: LocalOffer
        var route: RDMARoute?

        /// There are devices, but the way to the peer was not found (in time).
        var hasUnansweredRoute: Bool {
            self.offer.record.refusals.contains { $0.path == .rdma && $0.reason.code == .noRoute }
        }
    }

    /// Asks hypervisor and RDMA for what is possible with this peer.
    func gather(from source: SocketAddress?, to destination: SocketAddress) async -> Gathered {
        async let place = self.findPlace()
        async let route = self.findRoute(from: source, to: destination)
        var record = DecisionRecord()
        var sharedMemory: LocalOffer.SharedMemory?
        switch await place {
        case .success(let found): sharedMemory = found
        case .failure(let reason): record.refuse(.sharedMemory, reason)
        }
        var foundRoute: RDMARoute?
        switch await route {
        case .success(let found): foundRoute = found
        case .failure(let reason): record.refuse(.rdma, reason)
        }
        let end = foundRoute.map { LinkEnd($0) }
        let rdma = end.map { end in
            LocalOffer.RDMA(gid: end.gid, macAddress: end.macAddress, userEIDs: self.configuration.userEIDs)
        }
        let offer = LocalOffer(
            peerID: self.rdma.peerID(on: end), instance: self.instance, hostName: self.hostName,
            sharedMemory: sharedMemory, rdma: rdma, record: record)
        return Gathered(offer: offer, route: foundRoute)
    }

    private func findPlace() async -> Result<LocalOffer.SharedMemory, FallbackReason> {
        guard self.configuration.paths.contains(.sharedMemory) else {
            return .failure(FallbackReason(.notOffered, "shared memory is not among the paths that we allow"))
        }
        do throws(FallbackReason) {
            return .success(try await self.sharedMemory.place())
        } catch {
            return .failure(error)
        }
    }

    private func findRoute(
        from source: SocketAddress?, to destination: SocketAddress
    ) async -> Result<RDMARoute, FallbackReason> {
        guard self.configuration.paths.contains(.rdma) else {
            return .failure(FallbackReason(.notOffered, "RDMA is not among the paths that we allow"))
        }
        guard !self.configuration.userEIDs.isEmpty else {
            return .failure(FallbackReason(.noCommonUEID, "no UEID is configured"))
        }
        do throws(FallbackReason) {
            return .success(try await self.rdma.route(from: source, to: destination))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Names

    /// Looks a host up without blocking the caller's thread.
    package func resolve(
        host: String?, port: UInt16, passive: Bool = false
    ) async throws(NameResolutionError) -> [SocketAddress] {
        try await self.resolver.run { () throws(NameResolutionError) in
            try SocketAddress.resolve(host: host, port: port, passive: passive)
        }
    }

    // MARK: Established connections

    /// Wraps what was set up, watches TCP for the peer's end, and tells the hypervisor.
    func establish(
        _ carrier: StreamConnection.Carrier, _ record: DecisionRecord, _ channel: TCPChannel, peerHostName: String?
    ) -> StreamConnection {
        let local = (try? channel.socket.localAddress()) ?? .unknown
        let peer = channel.peerAddress
        let identifier = self.nextReport.wrappingAdd(1, ordering: .relaxed).newValue
        if case .element(let transport) = carrier {
            self.watch(transport, channel, isRDMA: record.path == .rdma)
            self.ending.withLock { $0[identifier] = Ending(transport: transport, channel: channel) }
            transport.onRelease { [weak self] in
                // Not under the lock: the last reference may go here.
                let ended = self?.ending.withLock { $0.removeValue(forKey: identifier) }
                withExtendedLifetime(ended) {}
            }
        }
        let path = record.path ?? .tcp
        self.sharedMemory.report(
            ConnectionReport(
                identifier: identifier, path: path.rawValue, reason: record.reason, local: "\(local)",
                remote: "\(peer)"))
        let connection = StreamConnection(
            carrier: carrier, record: record, channel: channel, localAddress: local, peerAddress: peer,
            peerHostName: peerHostName, flushTimeout: self.configuration.flushTimeout,
            waiting: self.configuration.waiting, messageByteCountMax: self.configuration.messageByteCountMax
        ) {
            // Not weak: without the event loop nobody would wake who waits, and a program may keep its connections only.
            self.sharedMemory.reportClosed(identifier)
            _ = self.established.withLock { $0.connections.removeValue(forKey: identifier) }
        }
        let isClosed = self.established.withLock { established in
            if !established.isClosed { established.connections[identifier] = WeakConnection(connection: connection) }
            return established.isClosed
        }
        if isClosed {
            // The handshake ended while the partition did.
            connection.abort()
            let dropped = self.ending.withLock { $0.removeValue(forKey: identifier) }
            withExtendedLifetime(dropped) {}
        }
        return connection
    }

    private func watch(_ transport: ElementTransport, _ channel: TCPChannel, isRDMA: Bool) {
        let loop = self.loop
        channel.watchForEnd { [weak transport] hasUnexpectedBytes in
            guard let transport else { return }
            if hasUnexpectedBytes {
                transport.failed(.protocolViolation("bytes came on the TCP connection of an SMC connection"))
                return
            }
            let why = "its TCP connection ended without a word of closing: the process died or was killed"
            guard isRDMA else { return transport.peerEnded(why) }
            // The closing message travels by RDMA and may be overtaken by TCP's end.
            loop.schedule(after: Limits.closingMessageGrace) { transport.peerEnded(why) }
        }
    }
}
