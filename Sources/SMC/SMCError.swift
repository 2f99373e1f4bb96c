internal import SMCSystem
internal import SMCTransport

/// Why something did not work: what kind of failure, what was found, and what to do.
public struct SMCError: Error, Sendable {
    /// The kind of a failure, for programs. More kinds may come.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) {
            self.rawValue = rawValue
        }

        /// The host name is not known.
        public static let unknownHost = Code(rawValue: "unknown-host")
        /// Nobody listens there, or the host cannot be reached.
        public static let cannotConnect = Code(rawValue: "cannot-connect")
        /// The address to listen on is taken or not ours.
        public static let cannotListen = Code(rawValue: "cannot-listen")
        /// The peer answered something that is not the protocol, or nothing in time.
        public static let handshakeFailed = Code(rawValue: "handshake-failed")
        /// The peer's process, host or link is gone without having closed the connection.
        public static let peerGone = Code(rawValue: "peer-gone")
        /// An administrator of the hypervisor took the right to share memory with this peer away.
        public static let revoked = Code(rawValue: "revoked")
        /// The peer aborted the connection.
        public static let aborted = Code(rawValue: "aborted")
        /// The peer closed its end: nobody reads what is sent.
        public static let closedByPeer = Code(rawValue: "closed-by-peer")
        /// This end was closed, or its sending direction ended, before.
        public static let closed = Code(rawValue: "closed")
        /// The peer wrote something that cannot be.
        public static let protocolViolation = Code(rawValue: "protocol-violation")
        /// Two tasks send, or two receive, on one connection at once.
        public static let concurrentUse = Code(rawValue: "concurrent-use")
        /// The deadline passed; nothing was lost, and the call may be repeated.
        public static let timedOut = Code(rawValue: "timed-out")
        /// The task was cancelled; nothing was lost.
        public static let cancelled = Code(rawValue: "cancelled")
        /// More bytes in one piece than the ring or a limit allows.
        public static let tooLarge = Code(rawValue: "too-large")
        /// The configuration cannot be.
        public static let invalidConfiguration = Code(rawValue: "invalid-configuration")
        /// Linux refused a call.
        public static let system = Code(rawValue: "system")
    }

    /// What kind of failure it is.
    public var code: Code
    /// One line: what went wrong, with names and numbers.
    public var message: String
    /// The error below, if there is one.
    public var cause: (any Error)?

    /// An error of this kind.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension SMCError: CustomStringConvertible {
    public var description: String { self.message }
}

extension SMCError {
    init(_ error: TransportError) {
        let code: Code =
            switch error {
            case .peerGone: .peerGone
            case .revoked: .revoked
            case .abortedByPeer: .aborted
            case .closedByPeer: .closedByPeer
            case .protocolViolation: .protocolViolation
            case .closedHere: .closed
            case .concurrentUse: .concurrentUse
            case .timedOut: .timedOut
            case .tooLarge: .tooLarge
            case .cancelled, .interrupted: .cancelled
            case .system: .system
            }
        self.init(code, "\(error)", cause: error)
    }

    init(_ error: ConnectError) {
        switch error {
        case .cannotConnect(_, .cancelled), .handshake(_, .cancelled): self.init(.cancelled, "\(error)", cause: error)
        case .unknownHost: self.init(.unknownHost, "\(error)", cause: error)
        case .cannotConnect: self.init(.cannotConnect, "\(error)", cause: error)
        case .handshake: self.init(.handshakeFailed, "\(error)", cause: error)
        }
    }

    init(_ error: SystemCallError) {
        self.init(.system, "\(error)", cause: error)
    }
}
