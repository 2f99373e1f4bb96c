package import SMCWire

/// What an administrator writes down about a hypervisor, as values: pools, VLANs, partitions, roles, limits and logs.
/// The form of the file is another module's business; names of users and groups have become numbers already.
package struct HypervisorSettings: Hashable, Sendable {
    /// Memory that is reserved for SMBs (seed A10, A35).
    package struct Pool: Hashable, Sendable {
        package enum HugePages: String, Hashable, Sendable, CaseIterable {
            case never, prefer, require
        }

        package var name: String
        /// Control areas included; nil: as much as a hypervisor takes that was told nothing.
        package var byteCount: Int?
        package var hugePages: HugePages

        package init(name: String, byteCount: Int? = nil, hugePages: HugePages = .prefer) {
            self.name = name
            self.byteCount = byteCount
            self.hugePages = hugePages
        }
    }

    /// A VLAN and its part of a pool (seed A15, A41, A62).
    package struct VLAN: Hashable, Sendable {
        package enum Access: String, Hashable, Sendable, CaseIterable {
            /// Whoever may use the hypervisor may join.
            case open
            /// Only partitions that were authorised may join (seed A42).
            case authorised
        }

        package var id: VLANID
        /// Name of a pool.
        package var pool: String
        /// Bytes of the pool that it may use; nil: all.
        package var sliceByteCount: Int?
        /// Bytes of the slice that one partition may use; nil: all.
        package var partitionByteCount: Int?
        package var access: Access
        package var isEnabled: Bool

        package init(
            id: VLANID, pool: String, sliceByteCount: Int? = nil, partitionByteCount: Int? = nil,
            access: Access = .open, isEnabled: Bool = true
        ) {
            self.id = id
            self.pool = pool
            self.sliceByteCount = sliceByteCount
            self.partitionByteCount = partitionByteCount
            self.access = access
            self.isEnabled = isEnabled
        }
    }

    /// A partition that is known before it joins (seed A36, A58): who may come under its name, and where it may join.
    package struct Partition: Hashable, Sendable {
        package struct Membership: Hashable, Sendable {
            package var vlan: VLANID
            /// Bytes that it may use there; nil: as many as the VLAN gives to each partition.
            package var limitByteCount: Int?

            package init(vlan: VLANID, limitByteCount: Int? = nil) {
                self.vlan = vlan
                self.limitByteCount = limitByteCount
            }
        }

        package var name: String
        package var accounts: AccountSet
        package var memberships: [Membership]

        package init(name: String, accounts: AccountSet, memberships: [Membership]) {
            self.name = name
            self.accounts = accounts
            self.memberships = memberships
        }
    }

    /// Sessions and partitions at one time.
    package struct Limits: Hashable, Sendable {
        package var sessions = 1024
        package var partitions = 1024
        /// Seconds that a session may say nothing at its beginning.
        package var handshakeSeconds = 10

        package init() {}
    }

    package enum LogLevel: String, Hashable, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error
    }

    /// Whom the hypervisor serves at all.
    package enum Service: String, Hashable, Sendable, CaseIterable {
        /// The user that runs it, and root.
        case owner
        case everyone
    }

    package var socketPath: String?
    package var service: Service?
    package var pools: [Pool]
    /// The first is the one of partitions that ask for none.
    package var vlans: [VLAN]
    package var partitions: [Partition] = []
    package var roles: [AdministrativeRole] = []
    package var limits = Limits()
    package var auditPath: String?
    package var logLevel: LogLevel?

    package init(pools: [Pool], vlans: [VLAN]) {
        self.pools = pools
        self.vlans = vlans
    }
}

/// Users and groups by number.
package struct AccountSet: Hashable, Sendable {
    package var userIDs: Set<UInt32>
    package var groupIDs: Set<UInt32>

    package init(userIDs: Set<UInt32> = [], groupIDs: Set<UInt32> = []) {
        self.userIDs = userIDs
        self.groupIDs = groupIDs
    }

    package var isEmpty: Bool {
        self.userIDs.isEmpty && self.groupIDs.isEmpty
    }

    package func contains(userID: UInt32, groupIDs: Set<UInt32>) -> Bool {
        self.userIDs.contains(userID) || !self.groupIDs.isDisjoint(with: groupIDs)
    }
}
