/// What one end found out while it chose the path of a connection, and what would have led to a faster one.
package struct DecisionRecord: Hashable, Sendable {
    /// The ways that bytes can go, fastest first.
    package enum PathKind: String, Hashable, Sendable, CaseIterable, Comparable {
        case sharedMemory = "shared-memory"
        case rdma
        case tcp

        package static func < (left: PathKind, right: PathKind) -> Bool {
            Self.allCases.firstIndex(of: left)! < Self.allCases.firstIndex(of: right)!
        }
    }

    /// One path that was not taken.
    package struct Refusal: Hashable, Sendable {
        package var path: PathKind
        package var reason: FallbackReason

        package init(path: PathKind, reason: FallbackReason) {
            self.path = path
            self.reason = reason
        }
    }

    /// What the connection runs on; nil while it is not decided.
    package var path: PathKind?
    /// Why each faster path was refused, in the order in which they were looked at.
    package private(set) var refusals: [Refusal] = []

    package init() {}

    /// Notes why `path` cannot be. Several reasons for one path are kept in order: the first is what hindered it here.
    package mutating func refuse(_ path: PathKind, _ reason: FallbackReason) {
        let refusal = Refusal(path: path, reason: reason)
        if !self.refusals.contains(refusal) { self.refusals.append(refusal) }
    }

    /// The refusals of paths that are faster than the one taken.
    package var relevantRefusals: [Refusal] {
        guard let path = self.path else { return self.refusals }
        return self.refusals.filter { $0.path < path }
    }

    /// Why no faster path was taken, in one line; nil when there is none faster.
    package var reason: String? {
        let texts = self.relevantRefusals.map { "\($0.path.rawValue): \($0.reason.detail)" }
        return texts.isEmpty ? nil : texts.joined(separator: "; ")
    }

    /// What would mend it, in one line; nil when nothing is wrong.
    package var remedy: String? {
        var texts: [String] = []
        for remedy in self.relevantRefusals.compactMap(\.reason.remedy) where !texts.contains(remedy) {
            texts.append(remedy)
        }
        return texts.isEmpty ? nil : texts.joined(separator: "; ")
    }
}
