internal import Logging
internal import SMCMemory
internal import SMCSystem
internal import SMCWire

/// The hypervisor's only thread: turns packets into instructions and effects into descriptors and memory. It decides
/// nothing about SMBs; what it decides is how long it bears with whom.
final class DaemonLoop {
    private enum Key {
        static let listener: UInt64 = 0
        static let stop: UInt64 = 1
        static let signal: UInt64 = 2
        static let hangUp: UInt64 = 3
        static let settings: UInt64 = 4
        /// Sessions have the numbers from here on; they are their ``CallerID`` too.
        static let firstSession: UInt64 = 16
    }

    private enum Limits {
        /// Packets of one session before the others get their turn.
        static let packetsPerTurn = 16
        /// Bytes that are zeroed between two looks at the sockets: about a millisecond's work.
        static let reclaimByteCount = 4 << 20
        /// Bytes of new blocks that are made between two looks at the sockets: a few milliseconds' work.
        static let growthByteCount = 8 << 20
        /// How often blocks are looked at that somebody still has mapped, and timeouts are looked for.
        static let tickMilliseconds: Int32 = 100
    }

    let configuration: HypervisorConfiguration
    var logger: Logger
    let administration: Administration
    let plan: HypervisorDaemon.Plan
    var sessionsMaximum: Int
    var handshakeTimeout: Duration
    private let poller: Poller
    private let listener: UnixSocket
    var hypervisor: Hypervisor
    var blocks = BlockStore()
    /// Of all pools together: more would leave no descriptors for sessions and pairs.
    let blocksMaximum: Int
    /// Growths that were asked for, the one at work first.
    var growths: [PendingGrowth] = []
    var pairs: [PairID: PairFiles] = [:]
    /// Made before a partition binds, so that binding cannot fail half-way.
    var sparePair: PairFiles?
    var sessions: [UInt64: DaemonSession] = [:]
    private var nextKey = Key.firstSession
    /// No connection is taken while descriptors are short.
    private var isListening = true
    private var isStopping = false
    /// When there was last a partition, or somebody who might become one.
    private var lastInUse = ContinuousClock.now
    private var lastTick = ContinuousClock.now

    init(
        _ configuration: HypervisorConfiguration, _ plan: HypervisorDaemon.Plan, pools: [BlockMaker],
        listener: consuming UnixSocket, logger: Logger
    ) throws(SystemCallError) {
        self.configuration = configuration
        self.logger = logger
        self.plan = plan
        self.sessionsMaximum = plan.sessionsMaximum
        self.handshakeTimeout = configuration.handshakeTimeout
        self.administration = try Administration(configuration, logger: logger)
        self.poller = try Poller()
        self.blocksMaximum = plan.blocksMaximum
        self.listener = listener
        let vlans = configuration.vlans.map {
            VLANDefinition(
                $0, pool: pools.first?.growth.pool ?? .default, sliceByteCount: configuration.vlanLimits[$0])
        }
        var model = Hypervisor.Configuration(
            vlans: configuration.settings?.vlans ?? vlans, pools: Self.layouts(configuration, pools),
            bitsPerDirection: StatusBitArrayLayout.bitCount)
        model.partitions = configuration.settings?.partitions ?? []
        model.authorisations = configuration.settings?.authorisations ?? []
        model.processID = Process.processID
        model.partitionsMaximum = configuration.partitionsMaximum
        // The system's generator: nobody can guess a token.
        self.hypervisor = Hypervisor(model, random: SystemRandomNumberGenerator())
        for pool in pools {
            self.blocks.add(pool.made, as: self.hypervisor.grown(pool.growth))
        }
    }

    /// The pools as they came out, without blocks: those are booked when they are made.
    private static func layouts(_ configuration: HypervisorConfiguration, _ pools: [BlockMaker]) -> [PoolLayout] {
        pools.map {
            let shape = PoolGeometry(controlByteCount: configuration.controlByteCount, classes: [])
            return PoolLayout($0.growth.pool, pages: $0.growth.pages, shape)
        }
    }

    /// - Parameter signals: of the process, if they are for this hypervisor.
    func run(until stopEvent: borrowing EventDescriptor, signals: TerminationSignals?) throws(SystemCallError) {
        try self.poller.add(self.listener.descriptor.rawValue, for: .readable, key: Key.listener)
        try self.poller.add(stopEvent.descriptor.rawValue, for: .readable, key: Key.stop)
        if let signals {
            try self.poller.add(signals.descriptor, for: .readable, key: Key.signal)
            try self.poller.add(signals.hangUp, for: .readable, key: Key.hangUp)
        }
        try self.poller.add(self.administration.descriptor, for: .readable, key: Key.settings)
        self.administration.note("start", nil)
        defer { self.administration.close() }
        var occurrences: [Poller.Occurrence] = []
        while !self.isStopping {
            try self.poller.wait(timeoutMilliseconds: self.waitMilliseconds, into: &occurrences)
            for occurrence in occurrences {
                switch occurrence.key {
                case Key.listener: self.takeConnections()
                case Key.stop, Key.signal: self.isStopping = true
                case Key.hangUp:
                    signals?.clearHangUp()
                    if !self.hangUp() { self.isStopping = true }
                case Key.settings: self.finishReading()
                default: self.serve(occurrence.key)
                }
            }
            self.reclaim(byteLimit: Limits.reclaimByteCount)
            self.growPools(byteLimit: Limits.growthByteCount)
            self.tick()
        }
    }

    /// Without a reason to look at the clock it sleeps until something happens.
    private var waitMilliseconds: Int32 {
        if self.blocks.hasPending || !self.growths.isEmpty { return 0 }
        let isIdle = self.configuration.idleTimeout != nil && self.hypervisor.joinedCount == 0
        let hasStrangers = self.sessions.values.contains { $0.handshakeDeadline != nil }
        return self.blocks.hasLent || isIdle || hasStrangers || !self.isListening ? Limits.tickMilliseconds : -1
    }

    private func tick() {
        let now = ContinuousClock.now
        if self.hypervisor.joinedCount > 0 { self.lastInUse = now }
        guard self.lastTick.duration(to: now) >= .milliseconds(Int64(Limits.tickMilliseconds)) else { return }
        self.lastTick = now
        self.blocks.retryLent()
        for (key, session) in self.sessions {
            if let deadline = session.handshakeDeadline, deadline <= now {
                self.end(key, "said nothing in time")
            }
        }
        if !self.isListening { self.listen(true) }
        if let timeout = self.configuration.idleTimeout, self.lastInUse.duration(to: now) >= timeout {
            self.logger.info("no partition for \(timeout), so the hypervisor ends")
            self.isStopping = true
        }
    }

    // MARK: Connections

    private func listen(_ on: Bool) {
        do throws(SystemCallError) {
            try self.poller.modify(self.listener.descriptor.rawValue, for: on ? .readable : [], key: Key.listener)
            self.isListening = on
        } catch {
            self.logger.error("cannot watch the socket: \(error)")
        }
    }

    private func takeConnections() {
        do throws(SystemCallError) {
            while let socket = try self.listener.accept() {
                guard self.sessions.count < self.sessionsMaximum else {
                    self.logger.warning("a connection was closed: there are \(self.sessions.count) sessions already")
                    continue  // The socket is closed with its owner, this scope.
                }
                try self.begin(socket)
            }
        } catch {
            // Most likely there are no descriptors left. The connection stays in the queue for a while.
            self.logger.warning("cannot take a connection: \(error)")
            self.listen(false)
        }
    }

    private func begin(_ socket: consuming UnixSocket) throws(SystemCallError) {
        let credentials = try socket.peerCredentials()
        let groupIDs = Set((try? socket.peerGroups()) ?? []).union([credentials.groupID])
        let key = self.nextKey
        self.nextKey += 1
        let isOwn = credentials.userID == 0 || credentials.userID == Process.userID
        let isAllowed = isOwn || self.configuration.allowedUsers == .everyone
        try self.poller.add(socket.descriptor.rawValue, for: [.readable, .peerClosed], key: key)
        let session = DaemonSession(
            socket: socket, caller: CallerID(key), credentials: credentials, groupIDs: groupIDs,
            isAllowed: isAllowed, handshakeDeadline: .now.advanced(by: self.handshakeTimeout))
        self.sessions[key] = session
        let identity = CallerIdentity(
            processID: credentials.processID, userID: credentials.userID, groupIDs: groupIDs.sorted(),
            roles: self.administration.roles(of: session))
        _ = self.hypervisor.perform(.open(identity), by: session.caller)
    }

    /// Ends a session and takes back what it had.
    func end(_ key: UInt64, _ reason: String) {
        guard let session = self.sessions.removeValue(forKey: key) else { return }
        // Closing the socket takes it out of the poller as well: there is no other descriptor for it.
        let outcome = self.hypervisor.perform(.close, by: session.caller)
        self.administration.record(outcome.records, because: reason)
        _ = self.carryOut(outcome.effects)
        self.logger.debug("session ends: \(reason)", metadata: Self.metadata(session))
    }

    static func metadata(_ session: DaemonSession) -> Logger.Metadata {
        [
            "session": "\(session.caller.rawValue)", "pid": "\(session.credentials.processID)",
            "uid": "\(session.credentials.userID)",
        ]
    }

    private func serve(_ key: UInt64) {
        for _ in 0..<Limits.packetsPerTurn {
            guard let session = self.sessions[key] else { return }
            do throws(SystemCallError) {
                guard
                    let received = try session.socket.receive(maximumByteCount: ControlLimits.packetByteCount)
                else { return }
                self.lastInUse = .now
                for descriptor in received.descriptors {
                    _ = OwnedDescriptor(adopting: descriptor)  // Nobody may send us any.
                }
                let isClean = received.descriptors.isEmpty && !received.isTruncated
                self.take(received.bytes, isClean: isClean, session)
            } catch {
                self.end(key, "\(error)")
            }
        }
    }

    // MARK: Memory

    /// Zeroes blocks that nobody has any more.
    func reclaim(byteLimit: Int) {
        for block in self.blocks.reclaimPending(byteLimit: byteLimit) {
            self.hypervisor.reclaimed(block)
        }
    }
}
