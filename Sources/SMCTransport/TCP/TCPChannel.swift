package import SMCSystem
internal import Synchronization

/// A TCP socket with its place in the event loop: waiting for it, and hearing of its end.
package final class TCPChannel: Sendable {
    package let socket: TCPSocket
    package let loop: EventLoop
    /// Known from the start: a socket whose peer has reset it does not tell any more.
    package let peerAddress: SocketAddress
    package let readPoint = WaitPoint()
    package let writePoint = WaitPoint()

    private struct State {
        var key: EventLoop.Key?
        var wantsToRead = false
        var wantsToWrite = false
        /// Both directions are over or the socket failed: every call tells so at once, nothing is worth waiting for.
        var isOver = false
        var onEnd: (@Sendable (_ unexpectedBytes: Bool) -> Void)?
        var otherPoint: WaitPoint?
    }
    private let state = Mutex(State())

    /// - Parameter peerAddress: nil asks the socket, which is connected.
    package init(_ socket: TCPSocket, to peerAddress: SocketAddress? = nil, loop: EventLoop) {
        self.socket = socket
        self.peerAddress = peerAddress ?? (try? socket.peerAddress()) ?? .unknown
        self.loop = loop
    }

    /// Takes its place in the event loop.
    package func start() throws(SystemCallError) {
        let key = try self.loop.add(self.socket.descriptor, for: []) { [weak self] events in
            self?.happened(events)
        }
        self.state.withLock { $0.key = key }
    }

    /// Wakes another point as well when the socket can be read.
    package func alsoWake(_ point: WaitPoint?) {
        self.state.withLock { $0.otherPoint = point }
    }

    deinit {
        if let key = self.state.withLock({ $0.key }) { self.loop.remove(key) }
    }

    /// A ticket for waiting until the socket can be read; nil when waiting is of no use.
    package func prepareToRead() -> WaitPoint.Ticket? {
        self.prepare(self.readPoint) { $0.wantsToRead = true }
    }

    /// A ticket for waiting until the socket can be written; nil when waiting is of no use.
    package func prepareToWrite() -> WaitPoint.Ticket? {
        self.prepare(self.writePoint) { $0.wantsToWrite = true }
    }

    private func prepare(_ point: WaitPoint, _ want: (inout State) -> Void) -> WaitPoint.Ticket? {
        let ticket = point.ticket()
        return self.state.withLock { state in
            guard !state.isOver, let key = state.key else { return nil }
            want(&state)
            self.loop.modify(key, for: Self.interest(state))
            return ticket
        }
    }

    /// Somebody waits for the socket.
    package var isAwaited: Bool { self.state.withLock { $0.wantsToRead || $0.wantsToWrite } }

    /// From now on the socket carries no bytes: `body` is called once, on the loop's thread, when the peer's end comes
    /// or when bytes come all the same.
    package func watchForEnd(_ body: @escaping @Sendable (_ unexpectedBytes: Bool) -> Void) {
        self.state.withLock { state in
            state.onEnd = body
            guard let key = state.key else { return }
            self.loop.modify(key, for: Self.interest(state))
        }
        if self.state.withLock({ $0.isOver }) { self.loop.execute { self.reportEnd() } }
    }

    /// Leaves the event loop; nothing is called back any more.
    package func stopWatching() {
        let key = self.state.withLock { state in
            state.onEnd = nil
            state.isOver = true
            return state.key.take()
        }
        if let key { self.loop.remove(key) }
        self.readPoint.wake()
        self.writePoint.wake()
    }

    private static func interest(_ state: State) -> Poller.Events {
        var events: Poller.Events = []
        if state.wantsToRead { events.insert(.readable) }
        if state.wantsToWrite { events.insert(.writable) }
        if state.onEnd != nil { events.formUnion([.readable, .peerClosed]) }
        return events
    }

    private func happened(_ events: Poller.Events) {
        let isTerminal = !events.isDisjoint(with: [.hungUp, .failed])
        let keyToRemove = self.state.withLock { state -> EventLoop.Key? in
            if isTerminal {
                state.isOver = true
                return state.key.take()
            }
            if events.contains(.readable) { state.wantsToRead = false }
            if events.contains(.writable) { state.wantsToWrite = false }
            if let key = state.key { self.loop.modify(key, for: Self.interest(state)) }
            return nil
        }
        if let keyToRemove { self.loop.remove(keyToRemove) }
        if !events.isDisjoint(with: [.readable, .peerClosed]) || isTerminal { self.reportEnd() }
        if events.contains(.readable) || isTerminal {
            self.readPoint.wake()
            self.state.withLock { $0.otherPoint }?.wake()
        }
        if events.contains(.writable) || isTerminal { self.writePoint.wake() }
    }

    private func reportEnd() {
        let body = self.state.withLock { state -> (@Sendable (Bool) -> Void)? in
            guard let body = state.onEnd.take() else { return nil }
            if let key = state.key { self.loop.modify(key, for: Self.interest(state)) }
            return body
        }
        guard let body else { return }
        let waiting = try? self.socket.peek(1)
        body(waiting.map { !$0.isEmpty } ?? false)
    }

    // MARK: Exchange of whole messages, for the time before the path is decided

    /// Waits until at least one byte (or the end) can be read.
    ///
    /// - Returns: false when the deadline passed.
    package func waitUntilReadable(until deadline: ContinuousClock.Instant) async -> Bool {
        guard let ticket = self.prepareToRead() else { return true }
        return await self.readPoint.wait(since: ticket, until: deadline, on: self.loop)
    }

    /// Waits until a connection that was started is made or refused.
    package func finishConnecting(until deadline: ContinuousClock.Instant) async throws(TransportError) {
        if let ticket = self.prepareToWrite() {
            guard await self.writePoint.wait(since: ticket, until: deadline, on: self.loop) else { throw .timedOut }
        }
        do throws(SystemCallError) {
            try self.socket.connectResult()
        } catch {
            throw .system(error)
        }
        if Task.isCancelled { throw .cancelled }
    }

    /// Looks at the next `count` bytes without taking them.
    ///
    /// - Returns: fewer bytes only when the peer's end comes before.
    package func peek(
        exactly count: Int, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> [UInt8] {
        var seen = 0
        while true {
            do throws(SystemCallError) {
                if let bytes = try self.socket.peek(count) {
                    if bytes.count == count || bytes.isEmpty { return bytes }
                    // The end came after a few bytes: nothing more will come.
                    if bytes.count == seen, self.isPeerDone() { return bytes }
                    seen = bytes.count
                }
            } catch {
                throw .system(error)
            }
            guard ContinuousClock.now < deadline else { throw .timedOut }
            if Task.isCancelled { throw .cancelled }
            if seen > 0 {
                // Level-triggered readiness says "readable" already: look again in a moment.
                try? await Task.sleep(for: .milliseconds(1))
            } else if await !self.waitUntilReadable(until: deadline) {
                throw .timedOut
            }
        }
    }

    /// Bytes, the end or an error wait.
    package var hasSomethingToRead: Bool {
        do throws(SystemCallError) {
            return try self.socket.peek(1) != nil
        } catch {
            return true
        }
    }

    private func isPeerDone() -> Bool {
        self.socket.hasPeerFinished
    }

    /// Takes exactly `count` bytes off the stream.
    ///
    /// - Throws: ``TransportError/peerGone(_:)`` when the end comes before.
    package func read(
        exactly count: Int, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more: [UInt8]?
            do throws(SystemCallError) {
                more = try self.socket.read(count - bytes.count)
            } catch {
                throw .system(error)
            }
            if let more {
                guard !more.isEmpty else {
                    throw .peerGone("it ended the TCP connection in the middle of a message")
                }
                bytes += more
                continue
            }
            guard await self.waitUntilReadable(until: deadline) else { throw .timedOut }
            if Task.isCancelled { throw .cancelled }
        }
        return bytes
    }

    /// Writes all of `bytes`.
    package func write(
        _ bytes: [UInt8], until deadline: ContinuousClock.Instant
    ) async throws(TransportError) {
        var offset = 0
        while offset < bytes.count {
            do throws(SystemCallError) {
                offset += try self.socket.write(bytes, from: offset)
            } catch {
                throw .system(error)
            }
            guard offset < bytes.count, let ticket = self.prepareToWrite() else { continue }
            guard await self.writePoint.wait(since: ticket, until: deadline, on: self.loop) else { throw .timedOut }
            if Task.isCancelled { throw .cancelled }
        }
    }
}
