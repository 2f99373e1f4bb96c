package import SMCProtocol
package import SMCSystem
package import SMCVerbs
package import SMCWire
internal import Synchronization

/// One link of a link group: an RC queue pair with its completions, its messages and the connections that use it.
///
/// Any thread may hand it something to send; completions are handled on the event loop's thread.
package final class RDMALink: Sendable {
    /// What the link asks of its owner; called on the event loop's thread.
    package struct Callbacks: Sendable {
        /// The link carries nothing any more.
        package var wentDown: @Sendable (_ link: RDMALink, _ reason: String) -> Void

        package init(wentDown: @escaping @Sendable (_ link: RDMALink, _ reason: String) -> Void) {
            self.wentDown = wentDown
        }
    }

    /// The verbs objects and the device below them, dropped as a whole when the link goes down: programs may hold on
    /// to connections that are broken, and the kernel waits for whoever uses a removed device.
    struct Resources: Sendable {
        let queuePair: QueuePair
        /// Rings the channel for every message that arrives.
        let receiveQueue: CompletionQueue
        /// Polled when somebody sends, under the lock; armed only while something waits for a slot, because a wake-up
        /// for every message that went out would cost more than the message.
        let sendQueue: CompletionQueue
        let messages: MemoryRegion
    }

    struct State: Sendable {
        var resources: Resources?
        var protocolState: LinkState
        var outgoing: [UInt32: RDMAMedium.Outgoing] = [:]
        /// Connections with something to tell, in order; `head` is the next.
        var queue: [UInt32] = []
        /// LLC messages that wait for a slot.
        var llcQueue: [[UInt8]] = []
        var freeSlots: [Int] = Array((0..<Sizes.sendSlots).reversed())
        /// Which connection a slot's message belongs to; nil for LLC.
        var slotOwners: [UInt32?] = Array(repeating: nil, count: Sizes.sendSlots)
        /// Connections that the peer may speak to before we have heard of it on TCP, with the last thing it said.
        var expected: [UInt32: CDCMessage?] = [:]
        var announcement: (rkey: UInt32, isAccepted: Bool?)?
        var hasReceivedSinceTick = false
        var downReason: String?
        var loopKey: EventLoop.Key?
    }

    /// Sizes of the queues, after Linux (PROTOCOL 9) with room for a link full of connections.
    enum Sizes {
        static let sendSlots = 64
        /// Two writes (around the end of a ring) and a send.
        static let requestsPerSlot = 3
        static let receiveSlots = 256
        static let slotByteCount = 128
        static let receiveHeadByteCount = 44
        /// What a long LLC message has beyond the first 44 bytes lands here.
        static let spillByteCount = 8192 - 44
    }

    package let loop: EventLoop
    /// Our end, for CLC. Not the route itself: a removed device goes only when nobody holds it any more.
    package let end: LinkEnd
    let state: Mutex<State>
    let transports = Mutex<[UInt32: ElementTransport]>([:])
    let mediums = Mutex<[UInt32: RDMAMedium]>([:])
    private let callbacks: Callbacks
    /// Woken when something about the link changed.
    let changes = WaitPoint()
    let messageMemory: Mapping
    package let queuePairNumber: UInt32
    /// The number that our first packet carries.
    package let initialPSN: UInt32

    private static var receiveOffset: Int { Sizes.sendSlots * Sizes.slotByteCount }
    private static var spillOffset: Int { Self.receiveOffset + Sizes.receiveSlots * Sizes.slotByteCount }

    /// Makes the queue pair and posts its receives.
    package init(
        _ domain: ProtectionDomain, route: RDMARoute, loop: EventLoop, role: LinkState.Role,
        maxConnections: UInt8, callbacks: Callbacks
    ) throws {
        self.loop = loop
        self.end = LinkEnd(route)
        self.callbacks = callbacks
        self.messageMemory = try Mapping(anonymousByteCount: Self.spillOffset + Sizes.spillByteCount)
        // SAFETY: the mapping is kept as long as the registration, whose owner it is.
        let messages = try unsafe MemoryRegion(
            domain, base: self.messageMemory.baseAddress, byteCount: self.messageMemory.byteCount,
            owner: self.messageMemory)
        let channel = try CompletionChannel(route.device)
        let sendRequests = Sizes.sendSlots * Sizes.requestsPerSlot
        let receiveQueue = try CompletionQueue(channel, capacity: Sizes.receiveSlots)
        let sendQueue = try CompletionQueue(channel, capacity: sendRequests)
        let queuePair = try QueuePair(
            domain, sendQueue: sendQueue, receiveQueue: receiveQueue,
            capacity: QueuePair.Capacity(
                sendRequests: sendRequests, receiveRequests: Sizes.receiveSlots, receiveSegments: 2))
        self.queuePairNumber = queuePair.number
        self.initialPSN = UInt32.random(in: 0..<1 << 24)
        let identity = LinkState.Identity(
            macAddress: self.end.macAddress, gid: self.end.gid, queuePairNumber: queuePair.number,
            linkUserID: .random(in: 1 ... .max), maxLinks: HandshakeConstants.maxLinks, maxConnections: maxConnections)
        self.state = Mutex(
            State(
                resources: Resources(
                    queuePair: queuePair, receiveQueue: receiveQueue, sendQueue: sendQueue, messages: messages),
                protocolState: LinkState(role: role, identity: identity)))
        try queuePair.toInitialized(port: route.port)
        for slot in 0..<Sizes.receiveSlots { try Self.postReceive(slot, queuePair, messages) }
        try receiveQueue.arm()
        let key = try loop.add(channel.descriptor, for: .readable) { [weak self] _ in self?.completionsCame(channel) }
        self.state.withLock { $0.loopKey = key }
    }

    /// Lets the peer's packets in.
    package func connect(to peer: RDMAEndpoint, mtu: PathMTU) throws {
        try self.withResources { resources in
            try resources.queuePair.toReadyToReceive(
                QueuePair.Peer(
                    number: peer.queuePairNumber, gid: SMCVerbs.GID(peer.gid), packetSequenceNumber: peer.initialPSN,
                    pathMTU: mtu.rawValue),
                port: self.end.port, gidIndex: self.end.gidIndex,
                receiverNotReadyTimer: RDMALimits.receiverNotReadyTimer)
        }
    }

    /// Lets our own packets out.
    package func startSending() throws {
        try self.withResources { resources in
            guard resources.queuePair.state == .readyToReceive else { return }
            try resources.queuePair.toReadyToSend(
                packetSequenceNumber: self.initialPSN, timeoutExponent: RDMALimits.timeoutExponent,
                retryCount: RDMALimits.retryCount)
        }
    }

    private func withResources(_ body: (Resources) throws -> Void) throws {
        guard let resources = self.state.withLock({ $0.resources }) else {
            throw TransportError.peerGone("the RDMA link is down")
        }
        try body(resources)
    }

    // MARK: LLC

    /// Server: proves with Confirm Link that the link carries messages, both ways.
    package func confirm(until deadline: ContinuousClock.Instant) async throws(TransportError) {
        self.state.withLock { state in
            let message = state.protocolState.confirmationDue()
            self.enqueue(message, &state)
        }
        try await self.waitUntilActive(until: deadline)
    }

    /// Waits until both ends have seen Confirm Link.
    ///
    /// - Parameter isInterrupted: looked at whenever ``changes`` is woken; true ends the wait with
    ///   ``TransportError/interrupted``.
    package func waitUntilActive(
        until deadline: ContinuousClock.Instant, isInterrupted: @Sendable () -> Bool = { false }
    ) async throws(TransportError) {
        try await self.wait(until: deadline, isInterrupted) { $0.protocolState.phase == .active }
        self.scheduleTick()
    }

    /// Tells the peer of an RMB that later connections will name.
    ///
    /// One at a time: the caller sees to that.
    package func announce(
        _ buffer: RemoteAddress, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) {
        self.state.withLock { state in
            state.announcement = (buffer.key, nil)
            let message = state.protocolState.announce(rkey: buffer.key, address: buffer.address)
            self.enqueue(message, &state)
        }
        defer { self.state.withLock { $0.protocolState.announcementAbandoned() } }
        try await self.wait(until: deadline) { $0.announcement?.isAccepted != nil }
        guard self.state.withLock({ $0.announcement?.isAccepted }) == true else {
            throw .protocolViolation("the peer refused our RMB (Confirm RKey)")
        }
    }

    private func wait(
        until deadline: ContinuousClock.Instant, _ isInterrupted: @Sendable () -> Bool = { false },
        _ condition: @Sendable (borrowing State) -> Bool
    ) async throws(TransportError) {
        while true {
            let ticket = self.changes.ticket()
            let (isMet, downReason) = self.state.withLock { (condition($0), $0.downReason) }
            if isMet { return }
            if isInterrupted() { throw .interrupted }
            if let downReason { throw .peerGone(downReason) }
            guard await self.changes.wait(since: ticket, until: deadline, on: self.loop) else { throw .timedOut }
            if Task.isCancelled { throw .cancelled }
        }
    }

    /// Whether new connections may use it.
    package var isActive: Bool {
        self.state.withLock { $0.protocolState.phase == .active && $0.downReason == nil }
    }

    // MARK: Connections

    /// Keeps what comes for a connection whose CLC is not finished: RDMA may be faster than TCP.
    package func expect(_ alertToken: UInt32) {
        self.state.withLock { $0.expected[alertToken] = .some(nil) }
    }

    /// Gives a connection its place on the link.
    package func attach(_ transport: ElementTransport, _ medium: RDMAMedium) {
        self.mediums.withLock { $0[medium.alertToken] = medium }
        self.transports.withLock { $0[medium.alertToken] = transport }
        let downReason = self.state.withLock { state in
            state.outgoing[medium.alertToken] = RDMAMedium.Outgoing(medium)
            return state.downReason
        }
        if let downReason { transport.failed(.peerGone(downReason)) }
        self.loop.execute {
            // On the loop's thread, where CDC is handled: nothing newer can come in between. Cursors are totals, so the
            // last message says all.
            guard let message = self.state.withLock({ $0.expected.removeValue(forKey: medium.alertToken) }) else {
                return
            }
            if let message { self.received(message) }
        }
    }

    package func detach(_ alertToken: UInt32) {
        self.state.withLock { state in
            _ = state.outgoing.removeValue(forKey: alertToken)
            _ = state.expected.removeValue(forKey: alertToken)
        }
        _ = self.transports.withLock { $0.removeValue(forKey: alertToken) }
        _ = self.mediums.withLock { $0.removeValue(forKey: alertToken) }
    }

    /// Connections on the link.
    package var connectionCount: Int { self.transports.withLock { $0.count } }

    func update(_ alertToken: UInt32, _ change: (inout RDMAMedium.Outgoing) -> Void) {
        let failure = self.state.withLock { state -> String? in
            guard var outgoing = state.outgoing[alertToken] else { return nil }
            change(&outgoing)
            if outgoing.isDirty, !outgoing.isQueued {
                outgoing.isQueued = true
                state.queue.append(alertToken)
            }
            state.outgoing[alertToken] = outgoing
            return self.flush(&state)
        }
        if let failure { self.loop.execute { self.takeDown(failure) } }
    }

    func isFlushed(_ alertToken: UInt32) -> Bool {
        let (isFlushed, failure) = self.state.withLock { state -> (Bool, String?) in
            guard state.downReason == nil else { return (true, nil) }
            let failure = self.flush(&state)
            guard let outgoing = state.outgoing[alertToken] else { return (true, failure) }
            return (!outgoing.isDirty && outgoing.inFlight == 0, failure)
        }
        if let failure { self.loop.execute { self.takeDown(failure) } }
        return isFlushed
    }

    // MARK: The event loop's side

    private func completionsCame(_ channel: CompletionChannel) {
        guard let resources = self.state.withLock({ $0.resources }) else { return }
        var failure: String?
        do {
            while try channel.nextEvent() != nil {}
            try resources.receiveQueue.arm()
            // After arming: what came before it does not ring.
            var count = 0
            repeat {
                count = try resources.receiveQueue.poll { completion in
                    if let text = self.handle(completion, resources) { failure = failure ?? text }
                }
            } while count > 0 && failure == nil
        } catch {
            failure = "\(error)"
        }
        if failure == nil { failure = self.state.withLock { self.flush(&$0) } }
        if let failure { self.takeDown(failure) }
    }

    /// - Returns: why the link is broken, if it is.
    private func handle(_ completion: WorkCompletion, _ resources: Resources) -> String? {
        guard completion.status == .success else {
            return "the RDMA link failed: \(completion.status)"
        }
        let slot = Int(completion.id)
        var bytes = self.messageMemory.read(
            min(Int(completion.byteCount), Sizes.receiveHeadByteCount),
            at: Self.receiveOffset + slot * Sizes.slotByteCount)
        if completion.byteCount > Sizes.receiveHeadByteCount {
            let rest = min(Int(completion.byteCount) - Sizes.receiveHeadByteCount, Sizes.spillByteCount)
            bytes += self.messageMemory.read(rest, at: Self.spillOffset)
        }
        do {
            try Self.postReceive(slot, resources.queuePair, resources.messages)
        } catch {
            return "\(error)"
        }
        return self.received(bytes)
    }

    private static func postReceive(_ slot: Int, _ queuePair: QueuePair, _ messages: MemoryRegion) throws {
        let head = messages.segment(
            at: Self.receiveOffset + slot * Sizes.slotByteCount, byteCount: Sizes.receiveHeadByteCount)
        let spill = messages.segment(at: Self.spillOffset, byteCount: Sizes.spillByteCount)
        try queuePair.postReceive(id: UInt64(slot), into: head, then: spill)
    }

    private func received(_ bytes: [UInt8]) -> String? {
        self.state.withLock { $0.hasReceivedSinceTick = true }
        guard bytes.count >= CDCMessage.byteCount else { return nil }  // PROTOCOL 3.1: ignored.
        do throws(WireError) {
            if bytes[0] == CDCMessage.firstByte {
                self.received(try CDCMessage(decoding: Array(bytes.prefix(CDCMessage.byteCount))))
                return nil
            }
            return self.received(try LLCMessage(decoding: bytes))
        } catch .unknownType {
            return nil
        } catch {
            return "the peer sent a broken message: \(error)"
        }
    }

    private func received(_ message: LLCMessage) -> String? {
        let outcome = self.state.withLock { state in
            let outcome = state.protocolState.received(message)
            switch outcome {
            case .reply(let answer): self.enqueue(answer, &state)
            case .announced(let rkey, let isAccepted):
                if state.announcement?.rkey == rkey { state.announcement = (rkey, isAccepted) }
            default: break
            }
            return outcome
        }
        var failure: String?
        switch outcome {
        case .ignore, .reply: break
        case .activateAndReply(let answer):
            do {
                try self.startSending()
                failure = self.state.withLock { self.enqueue(answer, &$0) }
            } catch {
                failure = "\(error)"
            }
        case .activated, .announced: break
        case .end(let answer, let reason):
            if let answer { failure = self.state.withLock { self.enqueue(answer, &$0) ?? reason } }
            failure = failure ?? reason
        case .violation(let what): failure = "the peer broke the link protocol: \(what)"
        }
        self.changes.wake()
        return failure
    }

    /// Whether the link runs on this device.
    func uses(_ device: DeviceContext) -> Bool {
        self.state.withLock { $0.resources?.queuePair.domain.device === device }
    }

    /// Ends the link: everything on it fails, and the verbs objects go.
    package func takeDown(_ reason: String) {
        let (resources, key) = self.state.withLock { state -> (Resources?, EventLoop.Key?) in
            guard state.downReason == nil else { return (nil, nil) }
            state.downReason = reason
            state.protocolState.failed()
            state.queue.removeAll()
            state.llcQueue.removeAll()
            return (state.resources.take(), state.loopKey.take())
        }
        if let key { self.loop.remove(key) }
        guard let resources else { return }
        try? resources.queuePair.toError()
        let transports = self.transports.withLock { Array($0.values) }
        for transport in transports { transport.failed(.peerGone(reason)) }
        self.changes.wake()
        self.callbacks.wentDown(self, reason)
    }

    /// Tells the peer that the group ends, and waits a moment until the message is out.
    package func endGroup() async {
        let isAsked = self.state.withLock { state in
            guard let message = state.protocolState.endRequested() else { return false }
            self.enqueue(message, &state)
            return true
        }
        guard isAsked else { return }
        let deadline = ContinuousClock.now.advanced(by: .seconds(1))
        while !self.hasSentAll, ContinuousClock.now < deadline, await self.loop.pause(for: .milliseconds(1)) {}
        self.loop.execute { self.takeDown("we ended the link group") }
    }

    private var hasSentAll: Bool {
        self.state.withLock { state in
            guard state.downReason == nil, self.flush(&state) == nil else { return true }
            return state.freeSlots.count == Sizes.sendSlots && state.llcQueue.isEmpty
        }
    }

    // MARK: Is the peer there?

    private func scheduleTick() {
        self.loop.schedule(after: RDMALimits.testLinkInterval) { [weak self] in self?.tick() }
    }

    private func tick() {
        let (failure, isDown) = self.state.withLock { state -> (String?, Bool) in
            guard state.downReason == nil else { return (nil, true) }
            if let failure = self.flush(&state) { return (failure, false) }
            if state.hasReceivedSinceTick {
                state.hasReceivedSinceTick = false
                return (nil, false)
            }
            if state.protocolState.isTestPending {
                return ("the peer does not answer Test Link any more", false)
            }
            guard let test = state.protocolState.testDue(userData: .random(in: 0 ... .max)) else { return (nil, false) }
            return (self.enqueue(test, &state), false)
        }
        if let failure { return self.takeDown(failure) }
        if !isDown { self.scheduleTick() }
    }
}
