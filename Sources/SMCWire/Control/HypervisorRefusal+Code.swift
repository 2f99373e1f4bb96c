extension HypervisorRefusal {
    /// The refusal's name for scripts and logs: `unknown-vlan`. Stays as it is.
    package var code: String {
        switch self {
        case .malformed: "malformed"
        case .unsupportedVersion: "unsupported-version"
        case .notAuthorized: "not-authorized"
        case .notJoined: "not-joined"
        case .alreadyJoined: "already-joined"
        case .unknownVLAN: "unknown-vlan"
        case .tooManyPartitions: "too-many-partitions"
        case .notOwnAddress: "not-own-address"
        case .unknownPartition: "unknown-partition"
        case .notOnCommonVLAN: "not-on-common-vlan"
        case .sizeTooLarge: "size-too-large"
        case .poolExhausted: "pool-exhausted"
        case .badToken: "bad-token"
        case .alreadyBound: "already-bound"
        case .notBound: "not-bound"
        case .tooManyBindings: "too-many-bindings"
        case .tooManyReports: "too-many-reports"
        case .outOfResources: "out-of-resources"
        }
    }
}
