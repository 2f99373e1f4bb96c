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
        /// How often we look whether our socket is still where it was.
        static let placeMilliseconds: Int32 = 1000
        /// Connections that are taken before the sessions get their turn.
        static let connectionsPerTurn = 64
    }

    let configuration: HypervisorConfiguration
    var logger: Logger
    let administration: Administration
    let plan: HypervisorDaemon.Plan
    var sessionsMaximum: Int
    var handshakeTimeout: Duration
    private let poller: Poller
    private let listener: ListeningSocket
    let strangers = StrangersDescriptors()
    var hypervisor: Hypervisor
    var blocks = BlockStore()
    /// Of all pools together: more would leave no descriptors for sessions and pairs.
    let blocksMaximum: Int
    /// Growths that were asked for, the one at work first.
    var growths: [PendingGrowth] = []
    var pairs: [PairID: PairFiles] = [:]
    /// Made before a partition binds, so that binding cannot fail half-way.
    var sparePair: PairFiles?
    /// Held so that there is one to lend a block with, and one to take and refuse a connection with.
    private var spareDescriptor: EventDescriptor?
    /// Memory of earlier hypervisors, and what a partition shows at the moment.
    var adopted: [AdoptedID: AdoptedMemory] = [:]
    var shown: AdoptedMemory?
    var sessions: [UInt64: DaemonSession] = [:]
    /// How many each user has.
    private var sessionCounts: [UInt32: Int] = [:]
    /// Sessions that have said nothing yet: counted, because this is asked before every wait.
    private var strangerCount = 0
    private var nextKey = Key.firstSession
    /// No connection is taken while descriptors are short.
    private var isListening = true
    private var isStopping = false
    /// When there was last a partition, or somebody who might become one.
    private var lastInUse = ContinuousClock.now
    private var lastTick = ContinuousClock.now
    private var lastLookAtPlace = ContinuousClock.now

    init(
        _ configuration: HypervisorConfiguration, _ plan: HypervisorDaemon.Plan, pools: [BlockMaker],
        listener: ListeningSocket, logger: Logger
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
        model.adoptedMaximum = plan.adoptedMaximum
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
        try self.poller.add(self.listener.descriptor, for: .readable, key: Key.listener)
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
            _ = self.prepareSpareDescriptor()  // At once: later there may be none.
        }
    }

    /// Without a reason to look at the clock it sleeps until something happens, or it is time to look at its socket.
    private var waitMilliseconds: Int32 {
        if self.blocks.hasPending || !self.growths.isEmpty { return 0 }
        let isIdle = self.configuration.idleTimeout != nil && self.hypervisor.joinedCount == 0
        return self.blocks.hasLent || isIdle || self.strangerCount > 0 || !self.isListening
            ? Limits.tickMilliseconds : Limits.placeMilliseconds
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
        if self.lastLookAtPlace.duration(to: now) >= .milliseconds(Int64(Limits.placeMilliseconds)) {
            self.lastLookAtPlace = now
            self.keepPlace()
        }
        if let timeout = self.configuration.idleTimeout, self.lastInUse.duration(to: now) >= timeout {
            self.logger.info("no partition for \(timeout), so the hypervisor ends")
            self.isStopping = true
        }
    }

    // MARK: Connections

    private func listen(_ on: Bool) {
        do throws(SystemCallError) {
            try self.poller.modify(self.listener.descriptor, for: on ? .readable : [], key: Key.listener)
            self.isListening = on
        } catch {
            self.logger.error("cannot watch the socket: \(error)")
        }
    }

    /// Somebody removed our socket's file: then nobody finds us, and we make it anew.
    private func keepPlace() {
        do throws(SystemCallError) {
            switch try self.listener.keepPlace(replacing: { old, new throws(SystemCallError) in
                try self.poller.add(new, for: .readable, key: Key.listener)
                try? self.poller.remove(old)
            }) {
            case .unchanged: break
            case .renewed:
                self.isListening = true
                self.logger.warning("the socket had been removed, and was made anew; sessions went on")
            case .lost:
                // What is there now is another hypervisor's. We serve those that are here, and end with the last.
                self.logger.error("another hypervisor has taken the socket's place; this one takes no more sessions")
            }
        } catch {
            self.logger.error("the socket was removed and cannot be made anew: \(error)")
        }
        if self.listener.isLost, self.sessions.isEmpty { self.isStopping = true }
    }

    private func takeConnections() {
        do throws(SystemCallError) {
            for _ in 0..<Limits.connectionsPerTurn {
                guard let socket = try self.listener.accept() else { return }
                try self.begin(SharedUnixSocket(socket))
            }
        } catch {
            // No descriptors are left. The spare one does to say so to whoever waits; without it they wait for a while.
            guard self.refuseConnection() else {
                self.logger.warning("cannot take a connection: \(error)")
                return self.listen(false)
            }
        }
    }

    /// - Returns: false when not even that was possible.
    private func refuseConnection() -> Bool {
        guard self.spareDescriptor != nil else {
            _ = self.prepareSpareDescriptor()
            return false
        }
        self.spareDescriptor = nil
        let taken = try? self.listener.accept()
        guard case .some(let socket) = taken else { return false }
        self.refuse(SharedUnixSocket(socket), .outOfResources)
        return self.prepareSpareDescriptor()
    }

    /// Says why before it closes. Best effort: a client that has not asked yet may see only the end.
    private func refuse(_ link: SharedUnixSocket, _ refusal: HypervisorRefusal, _ text: String? = nil) {
        // What it asked is taken first: else the kernel tells it of a reset, and drops our answer.
        if let asked = try? link.socket.receive(maximumByteCount: ControlHeader.byteCount) {
            self.strangers.close(asked.descriptors)
        }
        let response = ControlResponse.refused(refusal, text ?? refusal.sentence)
        try? link.socket.send(response.encoded(requestID: ControlHeader.anyRequest))
        self.strangers.end(link)
    }

    /// Makes sure that one descriptor can be had later.
    func prepareSpareDescriptor() -> Bool {
        if self.spareDescriptor == nil { self.spareDescriptor = try? EventDescriptor() }
        return self.spareDescriptor != nil
    }

    /// Makes room for one descriptor.
    func useSpareDescriptor() {
        self.spareDescriptor = nil
    }

    /// Why this user gets no session; nil when it does.
    private func refusal(_ credentials: PeerCredentials) -> String? {
        guard self.sessions.count < self.sessionsMaximum else {
            return "There are \(self.sessions.count) sessions, as many as this hypervisor may have; end some programs."
        }
        guard credentials.userID != 0, credentials.userID != Process.userID else { return nil }
        let maximum = self.configuration.sessionsPerUserMaximum ?? max(1, self.sessionsMaximum / 4)
        let count = self.sessionCounts[credentials.userID, default: 0]
        guard count >= maximum else { return nil }
        return "User \(credentials.userID) has \(count) sessions, as many as one user may have; end some programs."
    }

    private func begin(_ link: SharedUnixSocket) throws(SystemCallError) {
        let credentials = try link.socket.peerCredentials()
        if let text = self.refusal(credentials) {
            self.logger.warning("a connection was refused: \(text)")
            return self.refuse(link, .tooManySessions, text)
        }
        let groupIDs = Set((try? link.socket.peerGroups()) ?? []).union([credentials.groupID])
        let key = self.nextKey
        self.nextKey += 1
        let isOwn = credentials.userID == 0 || credentials.userID == Process.userID
        let isAllowed = isOwn || self.configuration.allowedUsers == .everyone
        try self.poller.add(link.socket.descriptor.rawValue, for: [.readable, .peerClosed], key: key)
        let session = DaemonSession(
            link: link, caller: CallerID(key), credentials: credentials, groupIDs: groupIDs,
            isAllowed: isAllowed, handshakeDeadline: .now.advanced(by: self.handshakeTimeout))
        self.sessions[key] = session
        self.sessionCounts[credentials.userID, default: 0] += 1
        self.strangerCount += 1
        let identity = CallerIdentity(
            processID: credentials.processID, userID: credentials.userID, groupIDs: groupIDs.sorted(),
            roles: self.administration.roles(of: session))
        _ = self.hypervisor.perform(.open(identity), by: session.caller)
    }

    /// A session has said something.
    func greet(_ session: DaemonSession) {
        guard session.handshakeDeadline != nil else { return }
        session.handshakeDeadline = nil
        self.strangerCount -= 1
    }

    /// Ends a session and takes back what it had.
    func end(_ key: UInt64, _ reason: String) {
        guard let session = self.sessions.removeValue(forKey: key) else { return }
        let count = self.sessionCounts[session.credentials.userID, default: 1] - 1
        self.sessionCounts[session.credentials.userID] = count == 0 ? nil : count
        self.greet(session)  // It is none to wait for any more.
        // It fails only for a descriptor that is not there, which then has nothing to tell.
        try? self.poller.remove(session.link.socket.descriptor.rawValue)
        self.strangers.end(session.link)
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
                    let received = try session.link.socket.receive(maximumByteCount: ControlLimits.packetByteCount)
                else { return }
                self.lastInUse = .now
                let descriptors = ForeignDescriptors(received.descriptors, self.strangers)
                self.take(received.bytes, isTruncated: received.isTruncated, descriptors, session)
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
