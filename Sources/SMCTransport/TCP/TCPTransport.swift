package import SMCSystem
internal import Synchronization

/// The stream on its TCP connection itself: what is left when neither memory nor RDMA can carry it.
package final class TCPTransport: Transport {
    private let channel: TCPChannel
    private let isSendingOver = Atomic<Bool>(false)
    private let isClosed = Atomic<Bool>(false)
    private let latecomer: LatecomerFilter?

    /// - Parameter latecomer: given when the peer has said nothing yet and might still propose SMC.
    package init(_ channel: TCPChannel, latecomer: LatecomerFilter? = nil) {
        self.channel = channel
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
            throw Self.translate(error)
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
            case .end: return .end
            }
        } catch {
            throw Self.translate(error)
        }
    }

    package func prepareToSend() throws(TransportError) -> WaitPoint.Ticket? {
        self.channel.prepareToWrite()
    }

    package func prepareToReceive() throws(TransportError) -> WaitPoint.Ticket? {
        self.channel.prepareToRead()
    }

    package func finishSending() {
        guard !self.isSendingOver.exchange(true, ordering: .relaxed) else { return }
        self.channel.socket.shutdownWriting()
    }

    package func close() {
        guard !self.isClosed.exchange(true, ordering: .relaxed) else { return }
        self.isSendingOver.store(true, ordering: .relaxed)
        // The kernel delivers what was written; the descriptor goes with the last reference.
        self.channel.socket.shutdownWriting()
        self.channel.stopWatching()
    }

    package func abort() {
        guard !self.isClosed.exchange(true, ordering: .relaxed) else { return }
        self.isSendingOver.store(true, ordering: .relaxed)
        self.channel.socket.reset()
        self.channel.stopWatching()
    }

    private static func translate(_ error: SystemCallError) -> TransportError {
        switch error.errno {
        case Errno.brokenPipe: .closedByPeer
        case Errno.connectionReset: .peerGone("it reset the TCP connection")
        case Errno.timedOut: .peerGone("its host does not answer any more (TCP timed out)")
        default: .system(error)
        }
    }
}
