package import SMCProtocol

/// What carries a connection's bytes.
public enum Path: String, Hashable, Sendable, CaseIterable, Codable {
    /// Memory that both ends share: they are on one machine (one CEC).
    case sharedMemory = "shared-memory"
    /// RDMA writes into registered memory of the other host.
    case rdma
    /// The TCP connection itself.
    case tcp
}

extension Path {
    init(_ kind: DecisionRecord.PathKind) {
        switch kind {
        case .sharedMemory: self = .sharedMemory
        case .rdma: self = .rdma
        case .tcp: self = .tcp
        }
    }

    var kind: DecisionRecord.PathKind {
        switch self {
        case .sharedMemory: .sharedMemory
        case .rdma: .rdma
        case .tcp: .tcp
        }
    }
}

/// How a connection's path was chosen: what was refused, why, and what would mend it.
public struct Decision: Hashable, Sendable {
    /// A faster path that was not taken.
    public struct Refusal: Hashable, Sendable {
        public var path: Path
        /// Stable, for programs; for example `no-hypervisor`.
        public var code: String
        /// What was found.
        public var detail: String
        /// What to do about it; nil when nothing is wrong.
        public var remedy: String?
    }

    /// What the connection runs on.
    public var path: Path
    /// Every faster path, with the reason why it was not taken; empty for shared memory.
    public var refusals: [Refusal]
    /// The refusals in one line; nil when no path is faster.
    public var reason: String?
    /// All remedies in one line; nil when nothing is wrong.
    public var remedy: String?

    package init(_ record: DecisionRecord) {
        self.path = Path(record.path ?? .tcp)
        self.refusals = record.relevantRefusals.map { refusal in
            Refusal(
                path: Path(refusal.path), code: refusal.reason.code.rawValue, detail: refusal.reason.detail,
                remedy: refusal.reason.remedy)
        }
        self.reason = record.reason
        self.remedy = record.remedy
    }
}
