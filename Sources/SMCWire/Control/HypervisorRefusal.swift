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
    case functionDisabled = 19
    case vlanExists = 20
    case vlanInUse = 21
    case tooManyVLANs = 22
    case undefinedPartition = 23
    case partitionExists = 24
    case partitionInUse = 25
    case notAuthorisedOnVLAN = 26
    case addressInUse = 27
    case tooManyAddresses = 28
    case tainted = 29
    case outOfBounds = 30
    case unknownPool = 31
    case quotaExceeded = 32
    case tooManyDefinitions = 33
    case notSupported = 34
    case poolInUse = 35
    case sizeTooSmall = 36
    case smbEnded = 37
    case unsuitableMemory = 40
    case tooManySessions = 41
    case unsuitableConfiguration = 50

    /// As `Docs/Hypervisor.md` and the audit log name it, for instance `poolExhausted`.
    package var name: String {
        "\(self)"
    }

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
            "No free block of the pool is large enough; close connections, or start the hypervisor with a larger --pool."
        case .badToken:
            "The token is forged, stale or was given to another session; it cannot be used, get a new one."
        case .alreadyBound:
            "The SMB is bound to that peer already; unbind it first, or create another."
        case .notBound: "The SMB is bound to nobody; bind it first."
        case .tooManyBindings:
            "The two partitions share as many SMBs as a status bit array has bits; unbind some."
        case .tooManyReports: "The session has reported as many connections as the hypervisor keeps; close some."
        case .outOfResources:
            "The hypervisor got no descriptors or memory from the system; raise its limits or end some partitions."
        case .unsuitableMemory:
            "The descriptor is not a sealed memory file of the size that was said, so it cannot be an SMB."
        case .tooManySessions:
            "The hypervisor has as many sessions as it may have, in all or for this user; end some programs."
        case .functionDisabled:
            "An administrator has switched the shared memory function off; use RDMA or TCP, or have it switched on."
        case .vlanExists: "There is a VLAN of that name already; change it, or choose another name."
        case .vlanInUse: "Partitions have addresses on the VLAN; end them first, or force it."
        case .tooManyVLANs: "The hypervisor has as many VLANs as it may have; destroy one first."
        case .undefinedPartition: "No partition of that name is defined; create it first."
        case .partitionExists: "A partition of that name is defined already; change it, or choose another name."
        case .partitionInUse: "Sessions use the partition; end them first, or force it."
        case .notAuthorisedOnVLAN:
            "The VLAN is for authorised partitions only, and this is none; an administrator can authorise it by name."
        case .addressInUse: "SMBs hang on the SM-GID; destroy and unbind them first, or force it."
        case .tooManyAddresses: "The partition has as many addresses as it may have; withdraw one first."
        case .tainted:
            "A former peer may still hold the SMB's memory, and present peers share it; renew it, which unbinds them."
        case .outOfBounds: "The range lies outside of the SMB, is not aligned, or is larger than one packet."
        case .unknownPool: "The hypervisor has no pool of that name; `smc status` shows those that there are."
        case .quotaExceeded:
            "The partition uses as much memory of the VLAN as it may; destroy SMBs, or raise its limit."
        case .tooManyDefinitions: "As many partitions are defined or authorised as may be; remove some first."
        case .notSupported: "This hypervisor cannot do that while it runs; change its configuration and start it anew."
        case .sizeTooSmall: "So few bytes hold no block of the pool; `smc status` shows the sizes of blocks."
        case .smbEnded:
            "No memory was left to replace what a peer had, so the SMB has ended; create another, or grow the pool."
        case .poolInUse: "The memory is in use; have it given back first."
        case .unsuitableConfiguration:
            "The configuration cannot be put into force, and nothing of it was; `smc hypervisor --check-config` says why."
        }
    }
}
