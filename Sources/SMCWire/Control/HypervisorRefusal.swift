/// Why the hypervisor refused an instruction.
package enum HypervisorRefusal: UInt16, Error, Hashable, Sendable, CaseIterable {
    case malformed = 1
    case unsupportedVersion = 2
    case notAuthorized = 3
    case notJoined = 4
    case alreadyJoined = 5
    case unknownVLAN = 6
    case tooManyPartitions = 7
    case notOwnAddress = 8
    case unknownPartition = 9
    case notOnCommonVLAN = 10
    case sizeTooLarge = 11
    case poolExhausted = 12
    case badToken = 13
    case alreadyBound = 14
    case notBound = 15
    case tooManyBindings = 16
    case tooManyReports = 17
    case outOfResources = 18
    case unknownPool = 40
    case sizeTooSmall = 41

    /// What was wrong and what to do about it. The answer of a hypervisor has a sentence with numbers beside it.
    package var sentence: String {
        switch self {
        case .malformed:
            "The hypervisor could not read the request; the program and the hypervisor may be of different builds."
        case .unsupportedVersion:
            "The hypervisor speaks another version of the control messages; use the same release of swift-smc for both."
        case .notAuthorized:
            "This hypervisor does not serve this user; ask its administrator, or name no socket: use your own."
        case .notJoined: "The session has not joined a VLAN; join before anything else."
        case .alreadyJoined: "The session has joined already; open another session for another partition."
        case .unknownVLAN:
            "The hypervisor has no VLAN of that name; see `smc status`, or start the hypervisor with --vlan."
        case .tooManyPartitions:
            "The hypervisor has as many partitions as it may have; end some, or raise its limit."
        case .notOwnAddress: "The SM-GID is not one of this session's own; use an address that join returned."
        case .unknownPartition:
            "No partition of this hypervisor has that SM-GID; the peer is elsewhere or gone: use RDMA or TCP."
        case .notOnCommonVLAN:
            "The peer is on this machine, but on none of this partition's VLANs; let both join the same one."
        case .sizeTooLarge: "The pool has no blocks that large; ask for less, at most what join returned."
        case .poolExhausted:
            "No free block of the pool is large enough; close connections, or grow the pool."
        case .badToken:
            "The token is forged, stale or was given to another session; it cannot be used, get a new one."
        case .alreadyBound:
            "The SMB is bound, or its last peer has not let go of it; unbind it first, or create another."
        case .notBound: "The SMB is bound to nobody; bind it first."
        case .tooManyBindings:
            "The two partitions share as many SMBs as a status bit array has bits; unbind some."
        case .tooManyReports: "The session has reported as many connections as the hypervisor keeps; close some."
        case .unknownPool: "The hypervisor has no pool of that name; see `smc status`."
        case .sizeTooSmall: "So few bytes hold no block; see `smc status` for the sizes of blocks."
        case .outOfResources:
            "The hypervisor got no descriptors or memory from the system; raise its limits or end some partitions."
        }
    }
}

extension HypervisorRefusal: CustomStringConvertible {
    package var description: String {
        self.sentence
    }
}
