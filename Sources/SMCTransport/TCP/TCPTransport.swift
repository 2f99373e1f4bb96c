package import SMCSystem
internal import Synchronization

/// The stream on its TCP connection itself: what is left when neither memory nor RDMA can carry it.
package final class TCPTransport: Transport {
    private let channel: TCPChannel
    private let isSendingOver = Atomic<Bool>(false)
    private let isClosed = Atomic<Bool>(false)
    /// How the connection broke. Linux tells it once, to whichever direction asks first, and the other one that all is
    /// over, as if the peer had ended in order.
    private let failure = Mutex<TransportError?>(nil)
    private let latecomer: LatecomerFilter?
    private let deadPeerLimit: Duration

    private struct Watch {
        var isArmed = false
        /// Since when we have seen that the peer does not answer.
        var silentSince: ContinuousClock.Instant?
    }
    private let watch = Mutex(Watch())

    /// - Parameters:
    ///   - deadPeerLimit: a peer whose host vanished is noticed within about this time by whoever waits.
    ///   - latecomer: given when the peer has said nothing yet and might still propose SMC.
    package init(_ channel: TCPChannel, deadPeerLimit: Duration, latecomer: LatecomerFilter? = nil) {
        self.channel = channel
        self.deadPeerLimit = deadPeerLimit
        self.latecomer = latecomer
    }

    package var readPoint: WaitPoint { self.channel.readPoint }
    package var writePoint: WaitPoint { self.channel.writePoint }
    package var isWorthSpinning: Bool { false }
    package var isFlushed: Bool { true }

    @unsafe
    package func trySend(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int {
        guard !self.isSendingOver.load(ordering: .relaxed) else { throw .closedHere }
        guard bytes.count > 0 else { return 0 }
        self.latecomer?.didSend()
        do throws(SystemCallError) {
            // SAFETY: the caller vouches for the bytes.
            return try unsafe self.channel.socket.write(bytes)
        } catch {
            throw self.translate(error)
        }
    }

    @unsafe
    package func tryReceive(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(TransportError) -> ReceiveResult {
        guard !self.isClosed.load(ordering: .relaxed) else { throw .closedHere }
        do throws(SystemCallError) {
            if let latecomer = self.latecomer, try latecomer.mustWait(on: self.channel.socket) { return .wouldBlock }
            // SAFETY: the caller vouches for the buffer.
            switch try unsafe self.channel.socket.read(into: buffer) {
            case .bytes(let count): return .bytes(count)
            case .wouldBlock: return .wouldBlock
            case .end: break
            }
        } catch {
            throw self.translate(error)
        }
        guard !self.isClosed.load(ordering: .acquiring) else { throw .closedHere }
        if let failure = self.failure.withLock({ $0 }) { throw failure }
        return .end
    }

    package func prepareToSend() throws(TransportError) -> WaitPoint.Ticket? {
        defer { self.watchPeer() }
        return self.channel.prepareToWrite()
    }

    package func prepareToReceive() throws(TransportError) -> WaitPoint.Ticket? {
        if let patience = self.latecomer?.patienceLeft {
            let point = self.readPoint
            _ = self.channel.loop.schedule(after: patience) { point.wake() }
        }
        defer { self.watchPeer() }
        return self.channel.prepareToRead()
    }

    // MARK: Is the peer there? Keepalive tells only while nothing is on its way to it.

    /// Sees to it that somebody looks after the peer as long as anybody waits.
    private func watchPeer() {
        let isNew = self.watch.withLock { watch in
            defer { watch.isArmed = true }
            return !watch.isArmed
        }
        if isNew { self.scheduleLook() }
    }

    private func scheduleLook() {
        self.channel.loop.schedule(after: self.deadPeerLimit / 8) { [weak self] in self?.lookAfterPeer() }
    }

    private func lookAfterPeer() {
        let silence = self.channel.socket.unansweredFor
        let now = ContinuousClock.now
        let (isWatched, isDead) = self.watch.withLock { watch in
            watch.isArmed = self.channel.isAwaited && !self.isClosed.load(ordering: .acquiring)
            guard watch.isArmed, let silence else {
                watch.silentSince = nil
                return (watch.isArmed, false)
            }
            // What it said last may be long ago when nothing was due: what counts is how long we have seen it owe.
            let since = watch.silentSince.flatMap { $0.duration(to: now) <= silence ? $0 : nil } ?? now
            watch.silentSince = since
            return (true, since.duration(to: now) > self.deadPeerLimit / 2)
        }
        if isDead {
            self.failure.withLock { $0 = $0 ?? .peerGone("its host does not answer any more") }
            self.channel.socket.reset()
            self.readPoint.wake()
            self.writePoint.wake()
        } else if isWatched {
            self.scheduleLook()
        }
    }

    package func finishSending() {
        guard !self.isSendingOver.exchange(true, ordering: .relaxed) else { return }
        self.channel.socket.shutdownWriting()
        self.writePoint.wake()
    }

    package func close() {
        guard !self.isClosed.exchange(true, ordering: .relaxed) else { return }
        self.isSendingOver.store(true, ordering: .relaxed)
        if let waiting = try? self.channel.socket.peek(1), !waiting.isEmpty {
            // As close(2) does: the peer learns that its bytes were not taken.
            self.channel.socket.reset()
        } else {
            // The kernel delivers what was written, and answers what still comes with a reset. The descriptor goes with
            // the last reference.
            self.channel.socket.shutdownBoth()
        }
        self.channel.stopWatching()
    }

    package func abort() {
        guard !self.isClosed.exchange(true, ordering: .relaxed) else { return }
        self.isSendingOver.store(true, ordering: .relaxed)
        self.channel.socket.reset()
        self.channel.stopWatching()
    }

    private func translate(_ error: SystemCallError) -> TransportError {
        // Another task closed while this one was on its way into the kernel.
        if self.isClosed.load(ordering: .acquiring) { return .closedHere }
        let failure: TransportError
        switch error.errno {
        case Errno.brokenPipe:
            if self.isSendingOver.load(ordering: .relaxed) { return .closedHere }
            return self.failure.withLock { $0 } ?? .closedByPeer
        case Errno.connectionReset: failure = .peerGone("it reset the TCP connection")
        case Errno.timedOut: failure = .peerGone("its host does not answer any more (TCP timed out)")
        default: failure = .system(error)
        }
        return self.failure.withLock { first in
            first = first ?? failure
            return first ?? failure
        }
    }
}
