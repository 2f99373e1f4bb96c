internal import SMCTransport

// Messages instead of a stream of bytes: what is sent in one call is received in one. Both ends must use these calls; a
// program may change between messages and bytes if its peer does so at the same place.
extension Connection {
    /// Sends one message, which may be empty.
    ///
    /// - Parameter deadline: nil waits for room without limit. If it passes when a part of a message is sent that is
    ///   larger than ``pieceByteCountMax``, the connection ends; other messages are sent as a whole or not at all.
    /// - Throws: as ``send(_:until:)-(RawSpan,_)``; `tooLarge` beyond ``Configuration/messageByteCountMax``.
    nonisolated(nonsending) public func sendMessage(
        _ message: borrowing RawSpan, until deadline: ContinuousClock.Instant? = nil
    ) async throws(SMCError) {
        // SAFETY: the span is borrowed for the whole call, suspended or not.
        let buffer = unsafe message.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            try await unsafe self.stream.sendMessage(buffer, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``sendMessage(_:until:)``, blocking the thread. Never call it from a task.
    public func sendMessageBlocking(
        _ message: RawSpan, until deadline: ContinuousClock.Instant? = nil
    ) throws(SMCError) {
        // SAFETY: the span is borrowed for the whole call.
        let buffer = unsafe message.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            try unsafe self.stream.sendMessageBlocking(buffer, until: deadline)
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``sendMessage(_:until:)``, without waiting, if the message fits ``pieceByteCountMax``, and not over TCP.
    ///
    /// - Returns: false when there is no room; then nothing was sent.
    public func trySendMessage(_ message: RawSpan) throws(SMCError) -> Bool {
        // SAFETY: the span is borrowed for the whole call.
        let buffer = unsafe message.withUnsafeBytes { unsafe $0 }
        do throws(TransportError) {
            return try unsafe self.stream.trySendMessage(buffer)
        } catch {
            throw SMCError(error)
        }
    }

    /// Shows the next message, in one piece; it is done with when `see` returns.
    ///
    /// Up to ``pieceByteCountMax`` the message is read where the peer has written it: a hostile peer on this machine can
    /// change it meanwhile.
    /// - Returns: false when the peer has ended its direction and there is no message left.
    nonisolated(nonsending) public func receiveMessage(
        until deadline: ContinuousClock.Instant? = nil, _ see: (RawSpan) -> Void
    ) async throws(SMCError) -> Bool {
        do throws(TransportError) {
            return try await unsafe self.stream.receiveMessage(until: deadline) { bytes in
                // SAFETY: the bytes stay where they are until the closure has ended, and so does the span.
                see(unsafe RawSpan(_unsafeBytes: bytes))
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``receiveMessage(until:_:)``, blocking the thread. Never call it from a task.
    public func receiveMessageBlocking(
        until deadline: ContinuousClock.Instant? = nil, _ see: (RawSpan) -> Void
    ) throws(SMCError) -> Bool {
        do throws(TransportError) {
            return try unsafe self.stream.receiveMessageBlocking(until: deadline) { bytes in
                // SAFETY: as in receiveMessage.
                see(unsafe RawSpan(_unsafeBytes: bytes))
            }
        } catch {
            throw SMCError(error)
        }
    }

    /// As ``receiveMessage(until:_:)``, without waiting.
    public func tryReceiveMessage(_ see: (RawSpan) -> Void) throws(SMCError) -> Received {
        do throws(TransportError) {
            var count = 0
            let isMessage = try unsafe self.stream.tryReceiveMessage { bytes in
                count = bytes.count
                // SAFETY: as in receiveMessage.
                see(unsafe RawSpan(_unsafeBytes: bytes))
            }
            guard let isMessage else { return .nothing }
            return isMessage ? .bytes(count) : .end
        } catch {
            throw SMCError(error)
        }
    }
}
