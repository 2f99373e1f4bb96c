package import SMCSystem

/// Why bytes could not be moved. The connection is of no more use after any of these, except ``concurrentUse`` and
/// ``timedOut``.
package enum TransportError: Error, Hashable, Sendable {
    /// The peer's process, host or link is gone without having closed the connection.
    case peerGone(String)
    /// An administrator of the hypervisor took the right to share memory with this peer away.
    case revoked
    /// The peer aborted the connection: bytes that it had not read are lost.
    case abortedByPeer
    /// The peer closed its end, so nobody reads what we send.
    case closedByPeer
    /// The peer wrote something that cannot be.
    case protocolViolation(String)
    /// We closed, aborted or ended this direction before.
    case closedHere
    /// Two tasks send, or two receive, at once.
    case concurrentUse
    /// The deadline passed; nothing was lost, and the call may be repeated.
    case timedOut
    /// The task was cancelled; as with ``timedOut`` nothing was lost.
    case cancelled
    /// More bytes in one piece than the ring or a limit allows.
    case tooLarge(Int, limit: Int)
    /// Something else than what was waited for came first.
    case interrupted
    /// Linux refused a call on our socket.
    case system(SystemCallError)
}

extension TransportError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .peerGone(let why): "the peer is gone: \(why)"
        case .revoked:
            "an administrator took the right to share memory with the peer away; its partition or ours was revoked, or "
                + "their VLAN was destroyed or disabled"
        case .abortedByPeer: "the peer aborted the connection"
        case .closedByPeer: "the peer has closed its end"
        case .protocolViolation(let what): "the peer broke the protocol: \(what)"
        case .closedHere: "this end of the connection is closed already"
        case .concurrentUse: "two tasks use one direction of the connection at the same time"
        case .timedOut: "the deadline passed"
        case .cancelled: "the task was cancelled"
        case .tooLarge(let count, let limit): "\(count) bytes in one piece, of which \(limit) are possible"
        case .interrupted: "something else came first"
        case .system(let error): "\(error)"
        }
    }
}

/// What receiving brought.
package enum ReceiveResult: Hashable, Sendable {
    case bytes(Int)
    case wouldBlock
    /// The peer ended its direction, and all that it sent has been read.
    case end
}

/// What looking at bytes in their place brought.
@unsafe
package enum Peeked {
    /// Valid until they are consumed; a hostile peer may change them at any time.
    case bytes(UnsafeRawBufferPointer)
    case wouldBlock
    /// The peer ended its direction; less than was asked for may be left.
    case end
}

/// What every carrier of a byte stream promises. One task or thread at a time may send, one may receive; everything
/// else may be called from anywhere.
package protocol Transport: AnyObject, Sendable {
    /// Woken when receiving may bring something new.
    var readPoint: WaitPoint { get }
    /// Woken when sending may find room.
    var writePoint: WaitPoint { get }
    /// Looking again at once for a while may well succeed, as the peer can act without the kernel.
    var isWorthSpinning: Bool { get }

    /// Takes as many bytes as there is room for; 0 when there is none.
    @unsafe
    func trySend(_ bytes: UnsafeRawBufferPointer) throws(TransportError) -> Int
    /// Brings as many bytes as there are and fit.
    @unsafe
    func tryReceive(into buffer: UnsafeMutableRawBufferPointer) throws(TransportError) -> ReceiveResult

    /// Makes sure that ``writePoint`` is woken when there is room. Nil: look again instead of waiting.
    func prepareToSend() throws(TransportError) -> WaitPoint.Ticket?
    /// Makes sure that ``readPoint`` is woken when bytes or the end come. Nil: look again instead of waiting.
    func prepareToReceive() throws(TransportError) -> WaitPoint.Ticket?

    /// Half-close: the peer reads what was sent and then the end.
    func finishSending()
    /// Orderly end of both directions; what was sent arrives.
    func close()
    /// Ends both directions at once; the peer gets an error.
    func abort()
    /// Everything that was sent lies in the peer's memory or the kernel's, and nobody needs this process any more.
    var isFlushed: Bool { get }
}
