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
    private let channel: TCPChannel
    private let flushTimeout: Duration
    private let isClosed = Atomic<Bool>(false)
    private let onClose: @Sendable () -> Void
    // One task or thread in each direction, for as long as its call lasts, waiting included.
    private let isSending = Atomic<Bool>(false)
    private let isReceiving = Atomic<Bool>(false)
    // How long a read spins before it sleeps; follows what spinning brought lately.
    private let spinBudget = Atomic<Int>(SpinLimits.initial)

    enum SpinLimits {
        /// Looks at the ring, about 20-40 ns each on a processor whose peer is near.
        static let initial = 500
        static let least = 50
        static let most = Processor.count > 1 ? 2000 : 50
    }

    init(
        carrier: Carrier, record: DecisionRecord, channel: TCPChannel, localAddress: SocketAddress,
        peerAddress: SocketAddress, peerHostName: String?, flushTimeout: Duration,
        onClose: @escaping @Sendable () -> Void
    ) {
        self.onClose = onClose
        self.carrier = carrier
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

    private func beginSending() throws(TransportError) {
        guard !self.isSending.exchange(true, ordering: .acquiring) else { throw .concurrentUse }
    }

    private func endSending() {
        self.isSending.store(false, ordering: .releasing)
    }

    private func beginReceiving() throws(TransportError) {
        guard !self.isReceiving.exchange(true, ordering: .acquiring) else { throw .concurrentUse }
    }

    private func endReceiving() {
        self.isReceiving.store(false, ordering: .releasing)
    }

    private func store(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        switch self.carrier {
        case .element(let transport): try unsafe transport.trySend(bytes)
        case .tcp(let transport): try unsafe transport.trySend(bytes)
        }
    }

    private func load(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> ReceiveResult {
        switch self.carrier {
        case .element(let transport): try unsafe transport.tryReceive(into: buffer)
        case .tcp(let transport): try unsafe transport.tryReceive(into: buffer)
        }
    }

    private var transport: any Transport {
        switch self.carrier {
        case .element(let transport): transport
        case .tcp(let transport): transport
        }
    }

    // MARK: Waiting. The async and the blocking form differ only in how they wait.

    /// Sends all bytes.
    @unsafe
    package func send(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        var rest = unsafe bytes
        while rest.count > 0 {
            let count = try unsafe self.store(rest)
            if count > 0 {
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                continue
            }
            guard let ticket = try self.transport.prepareToSend() else { continue }
            let isInTime = await self.transport.writePoint.wait(since: ticket, until: deadline, on: self.channel.loop)
            try Self.check(isInTime)
        }
    }

    /// Sends all bytes, blocking the thread.
    @unsafe
    package func sendBlocking(
        _ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        var rest = unsafe bytes
        while rest.count > 0 {
            let count = try unsafe self.store(rest)
            if count > 0 {
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                continue
            }
            guard let ticket = try self.transport.prepareToSend() else { continue }
            guard self.transport.writePoint.block(since: ticket, until: deadline) else { throw .timedOut }
        }
    }

    /// Receives at least one byte, unless the stream ends, or there is no room for one.
    ///
    /// - Returns: nil at the end.
    @unsafe
    package func receive(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) -> Int? {
        try self.beginReceiving()
        defer { self.endReceiving() }
        guard buffer.count > 0 else { return 0 }
        while true {
            if let result = try unsafe self.receiveSpinning(into: buffer) { return result.count }
            guard let ticket = try self.transport.prepareToReceive() else { continue }
            let isInTime = await self.transport.readPoint.wait(since: ticket, until: deadline, on: self.channel.loop)
            try Self.check(isInTime)
        }
    }

    /// Receives at least one byte, unless the stream ends, blocking the thread.
    @unsafe
    package func receiveBlocking(
        into buffer: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) -> Int? {
        try self.beginReceiving()
        defer { self.endReceiving() }
        guard buffer.count > 0 else { return 0 }
        while true {
            if let result = try unsafe self.receiveSpinning(into: buffer) { return result.count }
            guard let ticket = try self.transport.prepareToReceive() else { continue }
            guard self.transport.readPoint.block(since: ticket, until: deadline) else { throw .timedOut }
        }
    }

    private struct Received {
        /// Nil: the end.
        var count: Int?
    }

    /// Looks again and again for a while before giving up.
    ///
    /// - Returns: nil when it is time to sleep.
    private func receiveSpinning(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> Received? {
        let budget = self.transport.isWorthSpinning ? self.spinBudget.load(ordering: .relaxed) : 0
        var left = budget
        while true {
            switch try unsafe self.load(into: buffer) {
            case .bytes(let count):
                if left < budget { self.spinBudget.store(min(SpinLimits.most, budget * 2), ordering: .relaxed) }
                return Received(count: count)
            case .end: return Received(count: nil)
            case .wouldBlock:
                guard left > 0 else {
                    self.spinBudget.store(max(SpinLimits.least, budget / 2), ordering: .relaxed)
                    return nil
                }
                left -= 1
                Processor.pause()
            }
        }
    }

    private static func check(_ isInTime: Bool) throws(TransportError) {
        if Task.isCancelled { throw .cancelled }
        guard isInTime else { throw .timedOut }
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
            // Over RDMA only, for about a round trip.
            try? await Task.sleep(for: .microseconds(200))
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
