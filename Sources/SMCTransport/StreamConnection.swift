internal import SMCMemory
package import SMCProtocol
package import SMCSystem
internal import Synchronization

/// A connection whose path is decided: one byte stream each way, with waiting.
package final class StreamConnection: Sendable {
    /// What carries the bytes. An enum of final classes: no dispatch through existentials.
    package enum Carrier: Sendable {
        case element(ElementTransport)
        case tcp(TCPTransport)
    }

    package let carrier: Carrier
    package let record: DecisionRecord
    package let localAddress: SocketAddress
    package let peerAddress: SocketAddress
    /// What the peer calls its host, if it said so.
    package let peerHostName: String?
    let channel: TCPChannel
    private let flushTimeout: Duration
    private let isClosed = Atomic<Bool>(false)
    private let onClose: @Sendable () -> Void
    // One task or thread in each direction, for as long as its call lasts, waiting included. Over elements their ends
    // keep this themselves.
    private let isSending = Atomic<Bool>(false)
    private let isReceiving = Atomic<Bool>(false)
    private let waitingMode: Atomic<UInt8>
    let sendSpinner = Spinner()
    let receiveSpinner = Spinner()
    /// The carrier, if it is that.
    let element: ElementTransport?
    // Its ends, if the peer is on this CEC: handles, which cost nothing to use.
    private let directSender: ElementSender?
    private let directReceiver: ElementReceiver?
    /// Bytes of TCP that wait to be looked at in one piece.
    let inbox = Inbox()
    /// Messages that are longer than this are refused, whoever sends them.
    package let messageByteCountMax: Int
    /// A message that came in part.
    let hasPartialMessage = Atomic<Bool>(false)
    let partialMessage = Mutex<PartialMessage?>(nil)

    init(
        carrier: Carrier, record: DecisionRecord, channel: TCPChannel, localAddress: SocketAddress,
        peerAddress: SocketAddress, peerHostName: String?, flushTimeout: Duration, waiting: Waiting = .adaptive,
        messageByteCountMax: Int = 1 << 30, onClose: @escaping @Sendable () -> Void
    ) {
        self.onClose = onClose
        self.carrier = carrier
        if case .element(let transport) = carrier {
            self.element = transport
            self.directSender = transport.isDirect ? transport.sender : nil
            self.directReceiver = transport.isDirect ? transport.receiver : nil
        } else {
            self.element = nil
            self.directSender = nil
            self.directReceiver = nil
        }
        self.waitingMode = Atomic(waiting.rawValue)
        self.messageByteCountMax = messageByteCountMax
        self.record = record
        self.channel = channel
        self.localAddress = localAddress
        self.peerAddress = peerAddress
        self.peerHostName = peerHostName
        self.flushTimeout = flushTimeout
    }

    deinit {
        // Dropped without close: whoever reads at the other end must not take this for an orderly end.
        if !self.isClosed.load(ordering: .acquiring) { self.abort() }
    }

    package var path: DecisionRecord.PathKind { self.record.path ?? .tcp }

    /// The peer has closed or aborted its end. Not known over TCP.
    package var isClosedByPeer: Bool {
        switch self.carrier {
        case .element(let transport): transport.isClosedByPeer
        case .tcp: false
        }
    }

    /// How calls wait that have to.
    package var waiting: Waiting {
        get { Waiting(rawValue: self.waitingMode.load(ordering: .relaxed)) ?? .adaptive }
        set { self.waitingMode.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// Signals sent to the peer so far, because it slept; nil where that is not known.
    package var signalCount: Int? { self.element?.signalCount }

    // MARK: Without waiting

    @unsafe
    package func trySend(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        try self.beginSending()
        defer { self.endSending() }
        return try unsafe self.store(bytes)
    }

    @unsafe
    package func tryReceive(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> ReceiveResult {
        try self.beginReceiving()
        defer { self.endReceiving() }
        guard buffer.count > 0 else { return .bytes(0) }
        return try unsafe self.load(into: buffer)
    }

    @inline(__always)
    func beginSending() throws(TransportError) {
        let isFirst =
            if let element = self.element {
                element.sender.begin()
            } else {
                !self.isSending.exchange(true, ordering: .acquiring)
            }
        guard isFirst else { throw .concurrentUse }
    }

    @inline(__always)
    func endSending() {
        if let element = self.element {
            element.sender.end()
        } else {
            self.isSending.store(false, ordering: .releasing)
        }
    }

    @inline(__always)
    func beginReceiving() throws(TransportError) {
        let isFirst =
            if let element = self.element {
                element.receiver.begin()
            } else {
                !self.isReceiving.exchange(true, ordering: .acquiring)
            }
        guard isFirst else { throw .concurrentUse }
    }

    @inline(__always)
    func endReceiving() {
        if let element = self.element {
            element.receiver.end()
        } else {
            self.isReceiving.store(false, ordering: .releasing)
        }
    }

    @inline(__always)
    func store(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        if let element = self.element { return try unsafe element.trySend(bytes) }
        return try unsafe self.transport.trySend(bytes)
    }

    @inline(__always)
    func load(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> ReceiveResult {
        if let element = self.element { return try unsafe element.tryReceive(into: buffer) }
        // What was brought to be looked at comes first.
        if let count = unsafe self.inbox.take(into: buffer) { return .bytes(count) }
        return try unsafe self.transport.tryReceive(into: buffer)
    }

    /// For all that is not hot.
    var transport: any Transport {
        switch self.carrier {
        case .element(let transport): transport
        case .tcp(let transport): transport
        }
    }

    // MARK: Bytes, with waiting. The async and the blocking form differ only in how they wait.

    /// Sends all bytes.
    @unsafe
    nonisolated(nonsending) package func send(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        let rest = try unsafe self.sendAtOnce(bytes)
        if rest.count == 0 { return }
        defer { self.endSending() }
        try await unsafe self.sendAll(rest, until: deadline)
    }

    /// As ``send(_:until:)``, for whoever has begun.
    @unsafe
    nonisolated(nonsending) func sendAll(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        var rest = unsafe bytes
        while rest.count > 0 {
            let count = try unsafe self.store(rest)
            if count == rest.count { return }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if count == 0 { try await self.waitForRoom(1, until: deadline) }
        }
    }

    /// Sends all bytes, blocking the thread.
    @unsafe
    package func sendBlocking(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) {
        let rest = try unsafe self.sendAtOnce(bytes)
        if rest.count == 0 { return }
        defer { self.endSending() }
        try unsafe self.sendAllBlocking(rest, until: deadline)
    }

    /// Begins to send, and sends what can be sent without further ado.
    ///
    /// - Returns: what is left. If that is nothing, sending has ended.
    @unsafe @inline(__always)
    private func sendAtOnce(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> UnsafeRawBufferPointer {
        if let sender = self.directSender {
            // SAFETY: the caller vouches for the bytes.
            let outcome = unsafe sender.sendAtOnce(bytes)
            if outcome.count == bytes.count, outcome.sleepers.rawValue == 0 { return unsafe Self.nothing }
            return try unsafe self.finishSendingAtOnce(bytes, outcome)
        }
        if bytes.count > 0 { try self.beginSending() }
        return unsafe bytes
    }

    private static var nothing: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: nil, count: 0) }

    @inline(never)
    private func finishSendingAtOnce(
        _ bytes: UnsafeRawBufferPointer, _ outcome: ElementSender.Outcome
    ) throws(TransportError) -> UnsafeRawBufferPointer {
        guard outcome.count != ElementSender.inUse else { throw .concurrentUse }
        if !outcome.sleepers.isEmpty { self.element?.wakeReader(outcome.sleepers) }
        // What is wrong is found again, and said, by whoever goes on.
        let done = max(outcome.count, 0)
        if done == bytes.count { self.endSending() }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
    }

    /// As ``sendBlocking(_:until:)``, for whoever has begun.
    @unsafe @inline(__always)
    func sendAllBlocking(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) {
        var rest = unsafe bytes
        while rest.count > 0 {
            let count = try unsafe self.store(rest)
            if count == rest.count { return }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            if count == 0 { try self.blockForRoom(1, until: deadline) }
        }
    }

    /// Receives at least one byte, unless the stream ends, or there is no room for one.
    ///
    /// - Returns: nil at the end.
    @unsafe
    nonisolated(nonsending) package func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) -> Int? {
        let count = try unsafe self.receiveAtOnce(into: buffer)
        if count > 0 { return count }
        defer { self.endReceiving() }
        guard buffer.count > 0 else { return 0 }
        while true {
            switch try unsafe self.load(into: buffer) {
            case .bytes(let count): return count
            case .end: return nil
            case .wouldBlock: try await self.waitForBytes(1, until: deadline)
            }
        }
    }

    /// Receives at least one byte, unless the stream ends, blocking the thread.
    @unsafe
    package func receiveBlocking(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) -> Int? {
        let count = try unsafe self.receiveAtOnce(into: buffer)
        if count > 0 { return count }
        defer { self.endReceiving() }
        guard buffer.count > 0 else { return 0 }
        while true {
            switch try unsafe self.load(into: buffer) {
            case .bytes(let count): return count
            case .end: return nil
            case .wouldBlock: try self.blockForBytes(1, until: deadline)
            }
        }
    }

    /// Begins to receive, and receives what is there without further ado.
    ///
    /// - Returns: how many bytes came. If there are any, receiving has ended.
    @unsafe @inline(__always)
    private func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Int {
        guard let receiver = self.directReceiver, buffer.count > 0 else {
            try self.beginReceiving()
            return 0
        }
        // SAFETY: the caller vouches for the buffer.
        let outcome = unsafe receiver.receiveAtOnce(into: buffer, looks: self.blindLooks)
        if outcome.count > 0, !outcome.mustTell { return outcome.count }
        return try self.finishReceivingAtOnce(outcome)
    }

    /// Looks that cost less than anything else that could be done meanwhile.
    private var blindLooks: Int {
        self.waitingMode.load(ordering: .relaxed) == Waiting.blocking.rawValue ? 0 : Spinner.Limits.blindLooks
    }

    @inline(never)
    private func finishReceivingAtOnce(_ outcome: ElementReceiver.Outcome) throws(TransportError) -> Int {
        guard outcome.count != ElementReceiver.inUse else { throw .concurrentUse }
        // What is wrong is found again, and said, by whoever goes on.
        guard outcome.count > 0 else { return 0 }
        self.element?.tellWriter()
        self.endReceiving()
        return outcome.count
    }

    // MARK: The end

    /// Half-close: the peer reads what was sent and then the end.
    package func finishSending() {
        self.transport.finishSending()
    }

    /// Orderly end. Returns when everything that was sent is out of this process's hands, so that it may exit.
    package func close() async {
        guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.transport.close()
        let deadline = ContinuousClock.now.advanced(by: self.flushTimeout)
        while !self.transport.isFlushed, ContinuousClock.now < deadline {
            // Over RDMA only, for about a round trip; in a cancelled task as well.
            guard await self.channel.loop.pause(for: .microseconds(200)) else { break }
        }
        self.channel.socket.shutdownWriting()
        self.onClose()
    }

    /// Ends both directions at once; the peer gets an error.
    package func abort() {
        guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.transport.abort()
        self.onClose()
        let socket = self.channel.socket
        // Over RDMA the abort itself is a message: TCP's end follows it and does not overtake it.
        let isLater =
            !self.transport.isFlushed
            && self.channel.loop.schedule(after: .milliseconds(100)) { socket.shutdownBoth() } != nil
        if !isLater { socket.shutdownBoth() }
    }
}
