/// Where a queue pair is in its life, and where it may go from there.
package enum QueuePairState: UInt8, Hashable, Sendable, CaseIterable {
    case reset, initialized, readyToReceive, readyToSend, error

    /// The moves that this module makes. The device itself may move a queue pair to `error` at any time.
    ///
    /// From `reset` there is no way to `error`: a queue pair that never came further has nothing to flush.
    package static func allowed(after state: QueuePairState) -> Set<QueuePairState> {
        switch state {
        case .reset: [.initialized]
        case .initialized: [.readyToReceive, .error]
        case .readyToReceive: [.readyToSend, .error]
        case .readyToSend: [.error]
        case .error: [.error]
        }
    }

    /// Refuses a move that is not in the table.
    package func checkMove(to next: QueuePairState) throws(VerbsError) {
        guard Self.allowed(after: self).contains(next) else {
            throw VerbsError("ibv_modify_qp", .illegalTransition(from: self, to: next))
        }
    }
}

extension QueuePairState: CustomStringConvertible {
    package var description: String {
        switch self {
        case .reset: "RESET"
        case .initialized: "INIT"
        case .readyToReceive: "RTR"
        case .readyToSend: "RTS"
        case .error: "ERROR"
        }
    }
}
