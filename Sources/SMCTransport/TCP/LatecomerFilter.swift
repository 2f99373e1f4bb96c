internal import SMCSystem
internal import SMCWire
internal import Synchronization

/// Looks at the first bytes of a client that was silent for longer than the listener waited for it.
///
/// It may be a plain TCP client, or a swift-smc client on a slow path whose Proposal is still to come. The Proposal is
/// then taken off the stream and answered with a Decline, so that the program never sees it.
package final class LatecomerFilter: Sendable {
    private struct State {
        /// The program has sent something: a Proposal can no longer be declined.
        var hasSpoken = false
        /// When the beginning of what may be a Proposal was first seen.
        var heldSince: ContinuousClock.Instant?
        var isDone = false
    }
    private let state = Mutex(State())

    package init() {}

    func didSend() {
        self.state.withLock { $0.hasSpoken = true }
    }

    /// How much longer bytes are kept from the program; nil while there are none.
    var patienceLeft: Duration? {
        let since = self.state.withLock { $0.isDone ? nil : $0.heldSince }
        return since.map { max(.milliseconds(1), Limits.latecomerPatience - $0.duration(to: .now)) }
    }

    /// Whether the program must not read yet: the beginning of what may be a Proposal is there, or nothing is.
    ///
    /// While it must not, the socket counts as readable only when what is missing can be there, so that whoever waits
    /// for it is not woken for a beginning that it has seen already.
    func mustWait(on socket: TCPSocket) throws(SystemCallError) -> Bool {
        guard !self.state.withLock({ $0.isDone }) else { return false }
        guard let start = try socket.peek(CLCHeader.byteCount) else { return true }
        guard CLCHeader.looksLikeCLC(start), !start.isEmpty else { return self.pass(socket) }
        guard start.count == CLCHeader.byteCount else { return self.wait(for: CLCHeader.byteCount, on: socket) }
        guard let header = try? CLCHeader(decoding: start), header.type == .proposal else { return self.pass(socket) }
        guard let whole = try socket.peek(header.length), whole.count == header.length else {
            return self.wait(for: header.length, on: socket)
        }
        _ = self.pass(socket)
        guard !self.state.withLock({ $0.hasSpoken }), (try? CLCMessage(decoding: whole)) != nil else { return false }
        _ = try socket.read(header.length)
        let decline = CLCMessage.decline(
            Decline(
                version: .two, peerID: .zero, diagnosis: .peerDidNotIndicateSMC, operatingSystem: .linux))
        // A few bytes into an empty socket buffer: they fit.
        _ = try socket.write(decline.encoded(), from: 0)
        return try socket.peek(1) == nil
    }

    /// Whether the rest of a Proposal may still come. Not for ever: it may be a program that says no more.
    private func wait(for byteCount: Int, on socket: TCPSocket) -> Bool {
        let now = ContinuousClock.now
        let since = self.state.withLock { state in
            state.heldSince = state.heldSince ?? now
            return state.heldSince ?? now
        }
        guard !socket.hasPeerFinished, since.duration(to: now) < Limits.latecomerPatience else {
            return self.pass(socket)
        }
        socket.setReadableFrom(byteCount: byteCount)
        return true
    }

    /// From now on everything is the program's. False, for its caller to answer with.
    private func pass(_ socket: TCPSocket) -> Bool {
        self.state.withLock { $0.isDone = true }
        socket.setReadableFrom(byteCount: 1)
        return false
    }
}
