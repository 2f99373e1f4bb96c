package import SMCMemory
internal import SMCProtocol
package import SMCSystem
internal import SMCWire
internal import Synchronization

/// The stream on two SMB elements, one in each partition's memory, each written by the other side only.
///
/// This exists once for both media; they differ in the instruction that stores into the peer's element
/// (``ElementMedium``).
package final class ElementTransport: Transport {
    /// Ours: the peer writes its ring and its control words.
    package let own: BufferElement
    /// What we write into: the peer's element itself, or the image of it that RDMA writes are made from.
    private let outgoing: BufferElement
    private let medium: ElementMedium

    package let readPoint = WaitPoint()
    package let writePoint = WaitPoint()

    /// The hot paths. Over shared memory nothing else is touched by them.
    let sender: ElementSender
    let receiver: ElementReceiver
    let isDirect: Bool
    /// Threads that sleep on words of our element.
    let sleepingThreads = Atomic<Int>(0)
    private let sentSignals = Atomic<Int>(0)

    private struct Shared {
        var connection = ConnectionState()
        var failure: TransportError?
        /// Why we aborted by ourselves.
        var violation: TransportError?
        /// The peer's TCP connection ended: its process is gone, or it closed.
        var hasTCPEnded = false
        var isReleased = false
        var onRelease: [@Sendable () -> Void] = []
    }
    private let shared = Mutex(Shared())
    // Copies of what is asked before sleeping, so that it takes no lock.
    private let isClosedHere = Atomic<Bool>(false)
    private let isSendingOver = Atomic<Bool>(false)
    private let hasTrouble = Atomic<Bool>(false)

    package init(own: BufferElement, outgoing: BufferElement, medium: ElementMedium) {
        self.own = own
        self.outgoing = outgoing
        self.medium = medium
        self.isDirect = medium.isDirect
        // SAFETY: the elements are kept as long as these.
        unsafe self.sender = ElementSender(
            own: own, outgoing: outgoing, storeByteCount: Limits.bytesPerStore, stopBits: Self.closed | Self.aborted)
        unsafe self.receiver = ElementReceiver(own: own, outgoing: outgoing, storeByteCount: Limits.bytesPerStore)
    }

    deinit {
        // SAFETY: who uses them holds this object.
        unsafe self.sender.deallocate()
        unsafe self.receiver.deallocate()
    }

    /// Bytes that may be on their way before the sender must wait.
    package var ringByteCount: Int { self.outgoing.ringByteCount }
    package var isWorthSpinning: Bool { self.isDirect }
    /// Signals sent so far: how often the peer slept when we had something for it. Over RDMA none are counted.
    package var signalCount: Int { self.sentSignals.load(ordering: .relaxed) }

    // MARK: Sending

    @unsafe
    package func trySend(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        guard self.isDirect else { return try unsafe self.trySendByMessage(bytes) }
        // SAFETY: the caller vouches for the bytes.
        let outcome = unsafe self.sender.send(bytes)
        if !outcome.sleepers.isEmpty { self.wakeReader(outcome.sleepers) }
        return outcome.count < 0 ? try self.throwSending(outcome.count) : outcome.count
    }

    /// Over a medium that is told of what was written.
    @unsafe
    private func trySendByMessage(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        let wanted = min(bytes.count, self.sender.storeByteCount)
        guard self.sender.mayProceed else { return try self.throwSending(ElementSender.stopped) }
        guard let room = self.sender.room(wanting: wanted) else {
            return try self.throwSending(ElementSender.violation)
        }
        let count = min(room, wanted)
        guard count > 0, let source = bytes.baseAddress else { return 0 }
        // SAFETY: `count` bytes are there, and as many of the ring are free, as the checked cursor says.
        unsafe self.sender.write(source, count)
        self.medium.publishProducer(self.sender.advance(count), ringIsFull: count == room)
        return count
    }

    /// Room in one piece: `atLeast` bytes or more, up to `atMost`.
    ///
    /// - Returns: nil when there is less.
    @unsafe
    func reserve(atLeast: Int, atMost: Int) throws(TransportError) -> UnsafeMutableRawBufferPointer? {
        guard self.sender.mayProceed else {
            _ = try self.throwSending(ElementSender.stopped)
            return nil
        }
        guard let room = self.sender.room(wanting: atMost) else {
            _ = try self.throwSending(ElementSender.violation)
            return nil
        }
        guard room >= atLeast else { return nil }
        // SAFETY: the whole ring lies in one piece from there, and that much of it is free.
        return unsafe UnsafeMutableRawBufferPointer(start: self.sender.place, count: min(room, atMost))
    }

    /// Publishes the first `count` bytes of what was reserved last.
    func commit(_ count: Int) {
        guard count > 0 else { return }
        guard self.isDirect else {
            self.medium.publishProducer(self.sender.advance(count), ringIsFull: false)
            return
        }
        let sleepers = self.sender.publishPlaced(count)
        if !sleepers.isEmpty { self.wakeReader(sleepers) }
    }

    /// Wakes who slept when we published, unless it waits for more.
    func wakeReader(_ sleepers: Sleepers) {
        let due = self.outgoing.keepAsleep(sleepers, at: self.sender.cursor)
        guard !due.isEmpty else { return }
        self.sentSignals.add(1, ordering: .relaxed)
        if due.wantFutex { self.outgoing.wakeProducerSleeper() }
        if due.wantSignal { self.medium.signal() }
    }

    func throwSending(_ code: Int) throws(TransportError) -> Int {
        guard code == ElementSender.stopped else {
            throw self.violation("its consumer cursor lies outside of the ring")
        }
        guard !self.isSendingOver.load(ordering: .relaxed) else { throw self.whyClosedHere() }
        if self.isClosedByPeer { throw self.own.state & Self.aborted != 0 ? .abortedByPeer : .closedByPeer }
        try self.throwTrouble()
        return 0
    }

    package func prepareToSend() throws(TransportError) -> WaitPoint.Ticket? { try self.prepareToSend(1) }

    /// As ``prepareToSend()``, for room for `wanted` bytes.
    func prepareToSend(_ wanted: Int) throws(TransportError) -> WaitPoint.Ticket? {
        let ticket = self.writePoint.ticket()
        return try self.armForRoom(wanted, .signal) == nil ? nil : ticket
    }

    /// Sees to it that we are woken when there is room for `wanted` bytes.
    ///
    /// - Returns: the consumer cursor that was looked at; nil: look again instead of sleeping.
    func armForRoom(_ wanted: Int, _ sleeper: Sleepers) throws(TransportError) -> UInt64? {
        guard let room = self.sender.room(wanting: wanted) else {
            throw self.violation("its consumer cursor lies outside of the ring")
        }
        let seen = self.sender.seenConsumer
        guard room < wanted, self.own.armConsumer(sleeper, ifStill: seen) else { return nil }
        // Looked at after arming: whoever sets these wakes us afterwards.
        return self.sender.mayProceed ? seen : nil
    }

    /// The peer has closed or aborted its end.
    package var isClosedByPeer: Bool { self.own.state & (Self.closed | Self.aborted) != 0 }
    private static let closed = UInt32(ConnectionStateFlags.closed.rawValue)
    private static let aborted = UInt32(ConnectionStateFlags.abnormalClose.rawValue)

    // MARK: Receiving

    @unsafe
    package func tryReceive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(TransportError) -> ReceiveResult {
        // SAFETY: the caller vouches for the buffer.
        let outcome = unsafe self.receiver.receive(into: buffer)
        guard outcome.count > 0 else { return try self.foundNothing(outcome.count) }
        if !self.isDirect {
            self.medium.publishConsumer(self.receiver.cursor, produced: self.receiver.seenProducer)
        } else if outcome.mustTell {
            self.tellWriter()
        }
        return .bytes(outcome.count)
    }

    /// All that waits, in one piece, if that is `atLeast` bytes.
    @unsafe
    func peek(atLeast: Int) throws(TransportError) -> Peeked {
        // SAFETY: what is peeked at lies in the ring, or in the receiver's own memory.
        let (bytes, code) = unsafe self.receiver.peek(atLeast: atLeast)
        if let bytes = unsafe bytes { return unsafe .bytes(bytes) }
        // Who waits for much lets the writer have all the room there is, so that it cannot wait for us in turn.
        if atLeast > 1, self.receiver.hasUntold {
            if self.isDirect {
                self.tellWriter()
            } else {
                self.medium.publishConsumer(
                    self.receiver.markTold(), produced: self.receiver.seenProducer, isUrgent: true)
            }
        }
        return unsafe try self.foundNothing(code, wanted: atLeast) == .end ? .end : .wouldBlock
    }

    /// Takes the first `count` bytes of what was peeked at last.
    func consume(_ count: Int) throws(TransportError) {
        guard self.receiver.isOpen else { throw self.whyClosedHere() }
        let mustTell = self.receiver.advance(count)
        if !self.isDirect {
            self.medium.publishConsumer(self.receiver.cursor, produced: self.receiver.seenProducer)
        } else if mustTell {
            self.tellWriter()
        }
    }

    /// What it means that there are no bytes, as the receiver's outcome says.
    private func foundNothing(_ code: Int, wanted: Int = 1) throws(TransportError) -> ReceiveResult {
        switch code {
        case ElementReceiver.stopped: throw self.whyClosedHere()
        case ElementReceiver.violation: throw self.violation("its producer cursor lies outside of the ring")
        default: break
        }
        let isTroubled = self.hasTrouble.load(ordering: .acquiring)
        let state = self.own.state
        // After the state: what was published before it is seen.
        guard let waiting = self.receiver.look() else {
            throw self.violation("its producer cursor lies outside of the ring")
        }
        if waiting >= wanted { return .wouldBlock }
        if state != 0 {
            if state & Self.aborted != 0 { throw .abortedByPeer }
            return .end
        }
        if isTroubled { try self.throwTrouble() }
        return .wouldBlock
    }

    /// Tells the peer how far we have read, and wakes it if it waits for that.
    func tellWriter() {
        let sleepers = self.receiver.publish()
        guard !sleepers.isEmpty else { return }
        self.sentSignals.add(1, ordering: .relaxed)
        if sleepers.wantFutex { self.outgoing.wakeConsumerSleeper() }
        if sleepers.wantSignal { self.medium.signal() }
    }

    package func prepareToReceive() throws(TransportError) -> WaitPoint.Ticket? { self.prepareToReceive(1) }

    /// As ``prepareToReceive()``, for `wanted` bytes.
    func prepareToReceive(_ wanted: Int) -> WaitPoint.Ticket? {
        let ticket = self.readPoint.ticket()
        return self.armForBytes(wanted, .signal) == nil ? nil : ticket
    }

    /// Something is to be thrown when all has been read.
    var isInTrouble: Bool { self.hasTrouble.load(ordering: .acquiring) }

    /// Sees to it that we are woken when `wanted` bytes wait.
    ///
    /// - Returns: the producer cursor that was looked at; nil: look again instead of sleeping.
    func armForBytes(_ wanted: Int, _ sleeper: Sleepers) -> UInt64? {
        guard let waiting = self.receiver.look(), waiting < wanted else { return nil }
        let seen = self.receiver.seenProducer
        self.own.setWakePosition(self.receiver.cursor &+ UInt64(wanted))
        guard self.own.armProducer(sleeper, ifStill: seen) else { return nil }
        // Looked at after arming: whoever sets these wakes us afterwards.
        return self.receiver.isQuiet && !self.hasTrouble.load(ordering: .acquiring) ? seen : nil
    }

    /// Lets all who wait here look again.
    private func wakeAll() {
        if self.sleepingThreads.load(ordering: .sequentiallyConsistent) > 0 { self.own.rouse() }
        self.readPoint.wake()
        self.writePoint.wake()
    }

    // MARK: The end

    package func finishSending() {
        self.isSendingOver.store(true, ordering: .sequentiallyConsistent)
        self.sender.stop()
        let flags = self.shared.withLock { $0.connection.sendingEnded() }
        self.tell(flags)
        self.wakeAll()
    }

    package func close() {
        self.end { state, hasUnreadData in state.closed(withUnreadData: hasUnreadData) }
    }

    package func abort() {
        self.end { state, _ in state.aborted() }
    }

    private func end(_ change: (inout ConnectionState, _ hasUnreadData: Bool) -> ConnectionStateFlags) {
        self.isSendingOver.store(true, ordering: .sequentiallyConsistent)
        self.isClosedHere.store(true, ordering: .sequentiallyConsistent)
        self.sender.stop()
        self.receiver.stop()
        let hasUnreadData = self.own.producer != self.receiver.cursor
        let flags = self.shared.withLock { change(&$0.connection, hasUnreadData) }
        self.tell(flags)
        self.wakeAll()
        self.releaseIfOver()
    }

    private func tell(_ flags: ConnectionStateFlags) {
        guard !flags.isEmpty else { return }
        self.medium.publishState(flags)
    }

    package var isFlushed: Bool { self.medium.isFlushed }

    /// Runs `body` once, when neither side needs the elements any more; at once if that is so already.
    package func onRelease(_ body: @escaping @Sendable () -> Void) {
        let isReleased = self.shared.withLock { shared in
            if !shared.isReleased { shared.onRelease.append(body) }
            return shared.isReleased
        }
        if isReleased { body() } else { self.releaseIfOver() }
    }

    // MARK: What the event loop reports

    /// The peer signalled: something in our element changed.
    package func signalled() {
        self.wakeAll()
        if self.own.state != 0 { self.releaseIfOver() }
    }

    /// The peer's process is gone, or it closed its socket; what it had published before is still read.
    package func peerEnded(_ why: String) {
        self.shared.withLock { shared in
            shared.hasTCPEnded = true
            if shared.failure == nil { shared.failure = .peerGone(why) }
        }
        self.hasTrouble.store(true, ordering: .sequentiallyConsistent)
        self.sender.stop()
        self.signalled()
        self.releaseIfOver()
    }

    /// Neither bytes nor signals come or go any more.
    package func failed(_ error: TransportError) {
        self.shared.withLock { shared in
            if shared.failure == nil { shared.failure = error }
            shared.hasTCPEnded = true
        }
        self.hasTrouble.store(true, ordering: .sequentiallyConsistent)
        self.sender.stop()
        self.signalled()
        self.releaseIfOver()
    }

    private func throwTrouble() throws(TransportError) {
        if let failure = self.shared.withLock({ $0.failure }) { throw failure }
    }

    private func violation(_ what: String) -> TransportError {
        // An element that we closed may have been given back under us: what it shows says nothing of the peer.
        guard !self.isClosedHere.load(ordering: .acquiring) else { return self.whyClosedHere() }
        let error = TransportError.protocolViolation(what)
        self.shared.withLock { shared in
            shared.violation = error
            if shared.failure == nil { shared.failure = error }
        }
        self.hasTrouble.store(true, ordering: .sequentiallyConsistent)
        self.sender.stop()
        self.abort()
        return error
    }

    /// Who waits in one direction while the other finds that the peer broke the protocol learns that, too.
    private func whyClosedHere() -> TransportError {
        self.shared.withLock { $0.violation } ?? .closedHere
    }

    private func releaseIfOver() {
        let flags = ConnectionStateFlags(rawValue: UInt8(truncatingIfNeeded: self.own.state))
        let bodies = self.shared.withLock { shared -> [@Sendable () -> Void] in
            shared.connection.peerSaid(flags)
            let isClosedHere = !shared.connection.sent.isDisjoint(with: [.closed, .abnormalClose])
            guard isClosedHere, shared.connection.isOver || shared.hasTCPEnded, !shared.isReleased else { return [] }
            shared.isReleased = true
            defer { shared.onRelease = [] }
            return shared.onRelease
        }
        for body in bodies { body() }
    }
}
