internal import SMCProtocol
internal import SMCSystem
package import SMCWire

extension TCPChannel {
    /// Reads one CLC message, and not a byte more (PROTOCOL 2.2): what follows it is user data.
    package func receiveCLC(until deadline: ContinuousClock.Instant) async throws(TransportError) -> CLCMessage {
        let start = try await self.peek(exactly: CLCHeader.byteCount, until: deadline)
        guard !start.isEmpty else { throw .peerGone("it ended the connection in the middle of the handshake") }
        guard CLCHeader.looksLikeCLC(start) else {
            throw .protocolViolation("it sent bytes that are not CLC where a CLC message was due: is SMC spoken there?")
        }
        guard start.count == CLCHeader.byteCount else {
            throw .peerGone("it ended the connection in the middle of a message of the handshake")
        }
        let header: CLCHeader
        do throws(WireError) {
            header = try CLCHeader(decoding: start)
        } catch {
            throw .protocolViolation("a broken CLC header: \(error)")
        }
        let bytes = try await self.read(exactly: header.length, until: deadline)
        do throws(WireError) {
            return try CLCMessage(decoding: bytes)
        } catch {
            throw .protocolViolation("a broken CLC \(header.type): \(error)")
        }
    }

    package func send(_ message: CLCMessage, until deadline: ContinuousClock.Instant) async throws(TransportError) {
        try await self.write(message.encoded(), until: deadline)
    }
}
