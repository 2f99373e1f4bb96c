internal import SMCTransport

/// How a connection waits for its peer. Over RDMA and TCP all ways are the same: they sleep.
public enum Waiting: String, Hashable, Sendable, CaseIterable {
    /// Looks for a while that follows the gaps seen lately, then sleeps.
    case adaptive
    /// Looks until something comes. The fastest, at the price of a core; a task that waits so lets others have its
    /// thread again and again.
    case busyPoll = "busy-poll"
    /// Sleeps at once.
    case blocking

    init(_ mode: SMCTransport.Waiting) {
        switch mode {
        case .adaptive: self = .adaptive
        case .busyPoll: self = .busyPoll
        case .blocking: self = .blocking
        }
    }

    var mode: SMCTransport.Waiting {
        switch self {
        case .adaptive: .adaptive
        case .busyPoll: .busyPoll
        case .blocking: .blocking
        }
    }
}

/// What receiving without waiting brought.
public enum Received: Hashable, Sendable {
    /// So many bytes.
    case bytes(Int)
    /// Nothing has come, or less than was asked for.
    case nothing
    /// The peer has ended its direction, and everything was read.
    case end

    init(_ result: ReceiveResult) {
        switch result {
        case .bytes(let count): self = .bytes(count)
        case .wouldBlock: self = .nothing
        case .end: self = .end
        }
    }
}
