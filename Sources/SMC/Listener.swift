internal import SMCProtocol
internal import SMCSystem
internal import SMCTransport
internal import Synchronization

/// Incoming connections, as an asynchronous sequence. Handshakes run side by side: a slow client does not hold up others.
public final class Listener: AsyncSequence, Sendable {
    public typealias Element = Connection

    let acceptor: Acceptor
    private let connections: AsyncStream<Connection>

    init(_ runtime: PartitionRuntime, _ address: SocketAddress) throws(SystemCallError) {
        let (stream, continuation) = AsyncStream<Connection>.makeStream()
        self.connections = stream
        let acceptor = Acceptor(
            runtime, try TCPSocket.listen(on: address, backlog: 1024), continuation)
        self.acceptor = acceptor
        // A cancelled iteration ends the sequence for good: nobody would take what comes afterwards.
        continuation.onTermination = { [weak acceptor] _ in acceptor?.stop() }
        try acceptor.start()
    }

    /// The port that it listens on.
    public var port: Int { Int((try? self.acceptor.socket.localAddress())?.port ?? 0) }

    /// Where it listens, for a person.
    public var address: String { (try? self.acceptor.socket.localAddress()).map { "\($0)" } ?? "closed" }

    /// Has `body` called when a client's handshake fails; such a client gets no connection.
    public func onHandshakeFailure(_ body: @escaping @Sendable (_ peer: String, _ error: SMCError) -> Void) {
        self.acceptor.setFailureHandler(body)
    }

    /// Stops listening; the sequence ends. Connections that were accepted stay. Cancelling a task that iterates does the
    /// same.
    public func close() {
        self.acceptor.stop()
    }

    deinit {
        self.acceptor.stop()
    }

    /// Iterates over the connections.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var base: AsyncStream<Connection>.AsyncIterator
        /// Held: `for await` may be the only one who does.
        let listener: Listener

        public mutating func next() async -> Connection? {
            let connection = await self.base.next()
            if connection != nil { self.listener.acceptor.didDeliver() }
            return connection
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: self.connections.makeAsyncIterator(), listener: self)
    }
}

/// Accepts TCP connections on the event loop and shakes hands in tasks of their own.
final class Acceptor: Sendable {
    let socket: TCPSocket
    private let runtime: PartitionRuntime
    private let continuation: AsyncStream<Connection>.Continuation

    private struct State {
        var key: EventLoop.Key?
        var isStopped = false
        var isPaused = false
        /// Connections in handshake, or not yet taken by the program.
        var pending = 0
        var failureHandler: (@Sendable (String, SMCError) -> Void)?
    }
    private let state = Mutex(State())
    /// More than this wait in the kernel instead.
    private static let pendingMax = 1024

    init(_ runtime: PartitionRuntime, _ socket: TCPSocket, _ continuation: AsyncStream<Connection>.Continuation) {
        self.runtime = runtime
        self.socket = socket
        self.continuation = continuation
    }

    func start() throws(SystemCallError) {
        let key = try self.runtime.loop.add(self.socket.descriptor, for: .readable) { [weak self] _ in
            self?.acceptAll()
        }
        self.state.withLock { $0.key = key }
    }

    func setFailureHandler(_ handler: @escaping @Sendable (String, SMCError) -> Void) {
        self.state.withLock { $0.failureHandler = handler }
    }

    func stop() {
        let key = self.state.withLock { state in
            state.isStopped = true
            return state.key.take()
        }
        guard let key else { return }
        self.runtime.loop.remove(key)
        self.socket.shutdownBoth()
        self.continuation.finish()
    }

    func didDeliver() {
        self.finished()
    }

    private func acceptAll() {
        while self.mayAccept() {
            do throws(SystemCallError) {
                guard let accepted = try self.socket.accept() else { return }
                self.state.withLock { $0.pending += 1 }
                Task { await self.serve(accepted) }
            } catch {
                // Out of descriptors or memory: the client waits in the kernel, and we look again in a moment.
                self.state.withLock { self.pause(&$0) }
                self.runtime.loop.schedule(after: .milliseconds(100)) { [weak self] in self?.resume() }
                return
            }
        }
    }

    /// Whether there is room for one more client. If not, it waits in the kernel until another one is done; decided in
    /// one step, or that one might be done before we pause, and nobody would go on.
    private func mayAccept() -> Bool {
        self.state.withLock { state in
            if state.pending >= Self.pendingMax { self.pause(&state) }
            return !state.isStopped && !state.isPaused
        }
    }

    private func pause(_ state: inout State) {
        guard let key = state.key else { return }
        state.isPaused = true
        self.runtime.loop.modify(key, for: [])
    }

    private func resume() {
        self.state.withLock { state in
            guard state.isPaused, let key = state.key else { return }
            state.isPaused = false
            self.runtime.loop.modify(key, for: .readable)
        }
    }

    private func finished() {
        self.state.withLock { $0.pending -= 1 }
        self.resume()
    }

    private func serve(_ socket: TCPSocket) async {
        let peer = (try? socket.peerAddress()).map { "\($0)" } ?? "unknown"
        do throws(TransportError) {
            let connection = Connection(try await self.runtime.serve(socket))
            if case .terminated = self.continuation.yield(connection) { connection.abort() }
        } catch {
            let handler = self.state.withLock { $0.failureHandler }
            handler?(
                peer,
                SMCError(.handshakeFailed, "the handshake with \(peer) failed: \(error.inHandshake)", cause: error))
            self.finished()
        }
    }
}
