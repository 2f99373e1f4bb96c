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

    // Cursors of ours; each has one writer, the task that sends or the task that receives.
    private let produced = Atomic<UInt64>(0)
    private let consumed = Atomic<UInt64>(0)

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
    // Copies of what the fast path asks, so that it takes no lock.
    private let isClosedHere = Atomic<Bool>(false)
    private let isSendingOver = Atomic<Bool>(false)
    private let hasTrouble = Atomic<Bool>(false)

    package init(own: BufferElement, outgoing: BufferElement, medium: ElementMedium) {
        self.own = own
        self.outgoing = outgoing
        self.medium = medium
    }

    /// Bytes that may be on their way before the sender must wait.
    package var ringByteCount: Int { self.outgoing.ringByteCount }
    package var isWorthSpinning: Bool { self.medium.isWorthSpinning }

    // MARK: Sending

    @unsafe
    package func trySend(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        try self.checkSending()
        let produced = self.produced.load(ordering: .relaxed)
        let room = CursorBounds.writable(
            consumer: self.own.consumer, produced: produced, ringByteCount: self.outgoing.ringByteCount)
        guard let room else { throw self.violation("its consumer cursor lies outside of the ring") }
        let count = min(room, bytes.count, Limits.bytesPerStore)
        guard count > 0 else { return 0 }
        // SAFETY: `count` bytes of the ring are free, as the checked cursor says.
        unsafe self.outgoing.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: produced)
        self.produced.store(produced &+ UInt64(count), ordering: .relaxed)
        self.medium.publishProducer(produced &+ UInt64(count), ringIsFull: count == room)
        return count
    }

    package func prepareToSend() throws(TransportError) -> WaitPoint.Ticket? {
        let ticket = self.writePoint.ticket()
        let seen = self.own.consumer
        let room = CursorBounds.writable(
            consumer: seen, produced: self.produced.load(ordering: .relaxed),
            ringByteCount: self.outgoing.ringByteCount)
        guard room == 0, self.own.armConsumer(ifStill: seen) else { return nil }
        // Looked at after arming: whoever sets these wakes us afterwards.
        guard !self.isClosedByPeer, !self.hasTrouble.load(ordering: .acquiring),
            !self.isSendingOver.load(ordering: .relaxed)
        else { return nil }
        return ticket
    }

    private func checkSending() throws(TransportError) {
        guard !self.isSendingOver.load(ordering: .relaxed) else { throw self.whyClosedHere() }
        if self.isClosedByPeer { throw self.own.state & Self.aborted != 0 ? .abortedByPeer : .closedByPeer }
        if self.hasTrouble.load(ordering: .acquiring) { try self.throwTrouble() }
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
        guard !self.isClosedHere.load(ordering: .relaxed) else { throw self.whyClosedHere() }
        let consumed = self.consumed.load(ordering: .relaxed)
        let isTroubled = self.hasTrouble.load(ordering: .acquiring)
        let state = self.own.state
        let producer = self.own.producer  // After the state: what was published before it is seen.
        let waiting = CursorBounds.readable(
            producer: producer, consumed: consumed, ringByteCount: self.own.ringByteCount)
        guard let waiting else { throw self.violation("its producer cursor lies outside of the ring") }
        guard waiting > 0 else {
            if state != 0 {
                if state & Self.aborted != 0 { throw .abortedByPeer }
                return .end
            }
            if isTroubled { try self.throwTrouble() }
            return .wouldBlock
        }
        let count = min(waiting, buffer.count, Limits.bytesPerStore)
        guard count > 0 else { return .bytes(0) }
        // SAFETY: `count` bytes of the ring are filled, as the checked cursor says.
        unsafe self.own.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: consumed)
        // Closed meanwhile: the memory may have been given back under the copy.
        guard !self.isClosedHere.load(ordering: .acquiring) else { throw self.whyClosedHere() }
        self.consumed.store(consumed &+ UInt64(count), ordering: .releasing)
        self.medium.publishConsumer(consumed &+ UInt64(count), produced: producer)
        return .bytes(count)
    }

    package func prepareToReceive() throws(TransportError) -> WaitPoint.Ticket? {
        let ticket = self.readPoint.ticket()
        guard self.own.armProducer(ifStill: self.consumed.load(ordering: .relaxed)) else { return nil }
        // Looked at after arming: whoever sets these wakes us afterwards.
        guard self.own.state == 0, !self.hasTrouble.load(ordering: .acquiring),
            !self.isClosedHere.load(ordering: .relaxed)
        else { return nil }
        return ticket
    }

    // MARK: The end

    package func finishSending() {
        self.isSendingOver.store(true, ordering: .relaxed)
        let flags = self.shared.withLock { $0.connection.sendingEnded() }
        self.tell(flags)
        self.writePoint.wake()
    }

    package func close() {
        self.end { state, hasUnreadData in state.closed(withUnreadData: hasUnreadData) }
    }

    package func abort() {
        self.end { state, _ in state.aborted() }
    }

    private func end(_ change: (inout ConnectionState, _ hasUnreadData: Bool) -> ConnectionStateFlags) {
        self.isSendingOver.store(true, ordering: .relaxed)
        self.isClosedHere.store(true, ordering: .releasing)
        let hasUnreadData = self.own.producer != self.consumed.load(ordering: .acquiring)
        let flags = self.shared.withLock { change(&$0.connection, hasUnreadData) }
        self.tell(flags)
        self.readPoint.wake()
        self.writePoint.wake()
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
        self.readPoint.wake()
        self.writePoint.wake()
        if self.own.state != 0 { self.releaseIfOver() }
    }

    /// The peer's process is gone, or it closed its socket; what it had published before is still read.
    package func peerEnded(_ why: String) {
        self.shared.withLock { shared in
            shared.hasTCPEnded = true
            if shared.failure == nil { shared.failure = .peerGone(why) }
        }
        self.hasTrouble.store(true, ordering: .releasing)
        self.signalled()
        self.releaseIfOver()
    }

    /// Neither bytes nor signals come or go any more.
    package func failed(_ error: TransportError) {
        self.shared.withLock { shared in
            if shared.failure == nil { shared.failure = error }
            shared.hasTCPEnded = true
        }
        self.hasTrouble.store(true, ordering: .releasing)
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
        self.hasTrouble.store(true, ordering: .releasing)
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
