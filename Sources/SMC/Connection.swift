internal import SMCProtocol
internal import SMCSystem
internal import SMCTransport

/// A byte stream in both directions between two programs, wherever they are.
///
/// One task at a time may send and one may receive; the two may be different. Drop a connection only after
/// ``close()`` or ``abort()``: without, it aborts.
public final class Connection: Sendable {
    let stream: StreamConnection

    init(_ stream: StreamConnection) {
        self.stream = stream
    }

    /// What carries the bytes.
    public var path: Path { Path(self.stream.path) }
    /// Why it is this path and no faster one.
    public var decision: Decision { Decision(self.stream.record) }
    /// The peer's address, for example `10.0.0.2:7000`.
    public var peerAddress: String { "\(self.stream.peerAddress)" }
    /// Our own address.
    public var localAddress: String { "\(self.stream.localAddress)" }
    /// What the peer calls its host, if it said so.
    public var peerHostName: String? { self.stream.peerHostName }

    /// The peer has closed or aborted its end: nothing that is sent would be read. Over TCP this is not known before
    /// sending fails.
    public var isClosedByPeer: Bool { self.stream.isClosedByPeer }

    /// How calls of this connection wait that have to.
    public var waiting: Waiting {
        get { Waiting(self.stream.waiting) }
        set { self.stream.waiting = newValue.mode }
    }

    /// Signals sent to the peer so far: how often it slept when there was something for it. Nil over RDMA and TCP, where
    /// that is not counted.
    public var signalCount: Int? { self.path == .sharedMemory ? self.stream.signalCount : nil }

    // MARK: Sending

    /// Sends all bytes; returns when they are on their way and the memory may be used again.
    ///
    /// - Parameter deadline: nil waits for room without limit. After `timedOut` part of the bytes may have been sent.
    /// - Throws: ``SMCError``; `closedByPeer`, `peerGone` and `aborted` when nobody reads any more.
    nonisolated(nonsending) public func send(
        _ bytes: borrowing RawSpan, until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) {
        // SAFETY: the span is borrowed for the whole call, suspended or not.
        let buffer = unsafe bytes.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            try await unsafe self.stream.send(buffer, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// Sends all bytes of an array.
    nonisolated(nonsending) public func send(
        _ bytes: [UInt8], until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) {
        // SAFETY: the array is held by this call.
        try await unsafe self.send(bytes.span.bytes, until: deadline)
    }

    // MARK: Receiving

    /// Receives at least one byte and at most as many as fit.
    ///
    /// - Returns: how many bytes came; nil when the peer has ended its direction and everything was read.
    nonisolated(nonsending) public func receive(
        into buffer: inout MutableRawSpan, until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) -> Int? {
        // SAFETY: the span is exclusively ours for the whole call, suspended or not.
        let target = unsafe buffer.withUnsafeMutableBytes { unsafe $0 }
        do throws(TransportError) {
            return try await unsafe self.stream.receive(into: target, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// Receives at least one byte into an array, from `offset` on and at most up to its end.
    ///
    /// - Returns: how many bytes came; nil when the peer has ended its direction and everything was read.
    nonisolated(nonsending) public func receive(
        into bytes: inout [UInt8], from offset: Int = 0, until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) -> Int? {
        var span = bytes.mutableSpan
        // SAFETY: the array is exclusively ours for the whole call, suspended or not, and any bytes are valid in it.
        var raw = unsafe span.mutableBytes
        let whole = unsafe raw.withUnsafeMutableBytes { unsafe $0 }
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: whole[offset...])
        do throws(TransportError) {
            return try await unsafe self.stream.receive(into: target, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// Receives at least one byte and at most `maximum`.
    ///
    /// - Returns: nil when the peer has ended its direction and everything was read.
    nonisolated(nonsending) public func receive(
        atMost maximum: Int, until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: maximum)
        guard let count = try await self.receive(into: &bytes, until: deadline) else { return nil }
        bytes.removeLast(maximum - count)
        return bytes
    }

    // MARK: Without waiting

    /// Sends as many bytes as there is room for.
    ///
    /// - Returns: how many were taken; 0 when there is no room.
    public func trySend(_ bytes: RawSpan) throws(SMCError) -> Int {
        // SAFETY: the span is borrowed for the whole call.
        let buffer = unsafe bytes.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            return try unsafe self.stream.trySend(buffer)
        } catch {
            throw SMCError(error)
        }
    }

    /// Receives as many bytes as have come and fit.
    public func tryReceive(into buffer: inout MutableRawSpan) throws(SMCError) -> Received {
        // SAFETY: the span is exclusively ours for the whole call.
        let target = unsafe buffer.withUnsafeMutableBytes { unsafe $0 }
        do throws(TransportError) {
            return Received(try unsafe self.stream.tryReceive(into: target))
        } catch {
            throw SMCError(error)
        }
    }

    // MARK: Blocking twins, for threads that may wait

    /// As ``send(_:until:)-(RawSpan,_)``, blocking the thread. Never call it from a task.
    public func sendBlocking(
        _ bytes: RawSpan, until deadline: ContinuousClock.Instant? = nil
    ) throws(SMCError) {
        // SAFETY: the span is borrowed for the whole call.
        let buffer = unsafe bytes.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            try unsafe self.stream.sendBlocking(buffer, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``receive(into:until:)``, blocking the thread. Never call it from a task.
    public func receiveBlocking(
        into buffer: inout MutableRawSpan, until deadline: ContinuousClock.Instant? = nil
    ) throws(SMCError) -> Int? {
        // SAFETY: the span is exclusively ours for the whole call.
        let target = unsafe buffer.withUnsafeMutableBytes { unsafe $0 }
        do throws(TransportError) {
            return try unsafe self.stream.receiveBlocking(into: target, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    // MARK: The end

    /// Half-close: the peer reads everything that was sent and then the end; we can still receive.
    public func finishSending() {
        self.stream.finishSending()
    }

    /// Orderly end of both directions: what was sent arrives. If there are bytes that were not read, the peer gets an
    /// error, as with TCP.
    public func close() async {
        await self.stream.close()
    }

    /// Ends both directions at once; the peer gets an error.
    public func abort() {
        self.stream.abort()
    }
}
