internal import SMCTransport

// No copies of our own: what is sent is written where the peer will read it, and what is received is read where the peer
// has written it. Spans end with the closure that they are given to; the compiler sees to that.
extension Connection {
    /// The most that can be reserved or asked for in one piece: half the peer's ring.
    public var pieceByteCountMax: Int { self.stream.pieceByteCountMax }

    // MARK: Sending

    /// Has `fill` write into reserved room, and sends what it wrote.
    ///
    /// - Parameters:
    ///   - maximum: the room has no more bytes than this.
    ///   - minimum: and at least as many as this, up to ``pieceByteCountMax``; until there are, the call waits.
    ///   - deadline: nil waits without limit.
    ///   - fill: writes from the front of the room on. What it initialises is sent, and nothing if that is nothing.
    /// - Throws: as ``send(_:until:)-(RawSpan,_)``; `tooLarge`.
    nonisolated(nonsending) public func send(
        reserving maximum: Int, atLeast minimum: Int = 1, until deadline: ContinuousClock.Instant? = nil,
        _ fill: (inout OutputRawSpan) -> Void
    ) async throws(SMCError) {
        do throws(TransportError) {
            try await unsafe self.stream.send(reserving: maximum, atLeast: minimum, until: deadline) { room in
                unsafe Self.fill(room, fill)
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``send(reserving:atLeast:until:_:)``, blocking the thread. Never call it from a task.
    public func sendBlocking(
        reserving maximum: Int, atLeast minimum: Int = 1, until deadline: ContinuousClock.Instant? = nil,
        _ fill: (inout OutputRawSpan) -> Void
    ) throws(SMCError) {
        do throws(TransportError) {
            try unsafe self.stream.sendBlocking(reserving: maximum, atLeast: minimum, until: deadline) { room in
                unsafe Self.fill(room, fill)
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``send(reserving:atLeast:until:_:)``, without waiting. Over TCP it may block for the kernel.
    ///
    /// - Returns: false when there is no room, and `fill` was not called.
    public func trySend(
        reserving maximum: Int, atLeast minimum: Int = 1, _ fill: (inout OutputRawSpan) -> Void
    ) throws(SMCError) -> Bool {
        do throws(TransportError) {
            return try unsafe self.stream.trySend(reserving: maximum, atLeast: minimum) { room in
                unsafe Self.fill(room, fill)
            }
        } catch {
            throw SMCError(error)
        }
    }

    @unsafe @inline(__always)
    private static func fill(_ room: UnsafeMutableRawBufferPointer, _ fill: (inout OutputRawSpan) -> Void) -> Int {
        // SAFETY: the room is exclusively ours until it is committed, and the span ends with the closure.
        var span = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        fill(&span)
        return unsafe span.finalize(for: room)
    }

    // MARK: Receiving

    /// Shows the bytes that have come, in one piece, once there are enough of them.
    ///
    /// A hostile peer on this machine can change the bytes while they are looked at: what is checked and then used is to
    /// be copied first.
    /// - Parameters:
    ///   - minimum: the task is woken once, when so many have come; half our ring is the most that can be asked for. At
    ///     the end of the stream there may be fewer.
    ///   - deadline: nil waits without limit.
    ///   - look: returns how many bytes at the front are done with. The rest is shown again.
    /// - Returns: what `look` returned; nil when the peer has ended its direction and everything was read.
    nonisolated(nonsending) public func receive(
        atLeast minimum: Int = 1, until deadline: ContinuousClock.Instant? = nil, _ look: (RawSpan) -> Int
    ) async throws(SMCError) -> Int? {
        do throws(TransportError) {
            return try await unsafe self.stream.receive(atLeast: minimum, until: deadline) { bytes in
                // SAFETY: the bytes stay where they are until the closure has ended, and so does the span.
                look(unsafe RawSpan(_unsafeBytes: bytes))
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``receive(atLeast:until:_:)``, blocking the thread. Never call it from a task.
    public func receiveBlocking(
        atLeast minimum: Int = 1, until deadline: ContinuousClock.Instant? = nil, _ look: (RawSpan) -> Int
    ) throws(SMCError) -> Int? {
        do throws(TransportError) {
            return try unsafe self.stream.receiveBlocking(atLeast: minimum, until: deadline) { bytes in
                // SAFETY: as in receive.
                look(unsafe RawSpan(_unsafeBytes: bytes))
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``receive(atLeast:until:_:)``, without waiting.
    public func tryReceive(atLeast minimum: Int = 1, _ look: (RawSpan) -> Int) throws(SMCError) -> Received {
        do throws(TransportError) {
            return Received(
                try unsafe self.stream.tryReceive(atLeast: minimum) { bytes in
                    // SAFETY: as in receive.
                    look(unsafe RawSpan(_unsafeBytes: bytes))
                })
        } catch {
            throw SMCError(error)
        }
    }
}
