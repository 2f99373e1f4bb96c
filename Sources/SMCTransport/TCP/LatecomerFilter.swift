internal import SMCSystem
internal import SMCWire
internal import Synchronization

/// Looks at the first bytes of a client that was silent for longer than the listener waited for it.
///
/// It may be a plain TCP client, or a swift-smc client on a slow path whose Proposal is still to come. The Proposal is
/// then taken off the stream and answered with a Decline, so that the program never sees it.
package final class LatecomerFilter: Sendable {
    private enum State {
        /// Nothing came and nothing was sent.
        case watching
        /// The program has sent something: a Proposal can no longer be declined.
        case spoken
        case done
    }
    private let state = Mutex(State.watching)

    package init() {}

    func didSend() {
        self.state.withLock { if $0 == .watching { $0 = .spoken } }
    }

    /// Whether the program must not read yet: the beginning of what may be a Proposal is there, or nothing is.
    func mustWait(on socket: TCPSocket) throws(SystemCallError) -> Bool {
        let state = self.state.withLock { $0 }
        guard state != .done else { return false }
        guard let start = try socket.peek(CLCHeader.byteCount) else { return true }
        guard CLCHeader.looksLikeCLC(start), !start.isEmpty else {
            self.state.withLock { $0 = .done }
            return false
        }
        guard start.count == CLCHeader.byteCount else { return !socket.hasPeerFinished }
        guard let header = try? CLCHeader(decoding: start), header.type == .proposal else {
            self.state.withLock { $0 = .done }
            return false
        }
        guard let whole = try socket.peek(header.length), whole.count == header.length else {
            return !socket.hasPeerFinished
        }
        self.state.withLock { $0 = .done }
        guard case .watching = state, (try? CLCMessage(decoding: whole)) != nil else { return false }
        _ = try socket.read(header.length)
        let decline = CLCMessage.decline(
            Decline(
                version: .two, peerID: .zero, diagnosis: .peerDidNotIndicateSMC, operatingSystem: .linux))
        // A few bytes into an empty socket buffer: they fit.
        _ = try socket.write(decline.encoded(), from: 0)
        return try socket.peek(1) == nil
    }
}
