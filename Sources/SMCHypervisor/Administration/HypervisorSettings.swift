package import SMCWire

/// What an administrator writes down about a hypervisor, as values: pools, VLANs, partitions, roles, limits and logs.
/// The form of the file is another module's business; names of users and groups have become numbers already.
package struct HypervisorSettings: Hashable, Sendable {
    /// Memory that is reserved for SMBs (seed A10, A35).
    package struct Pool: Hashable, Sendable {
        package enum HugePages: String, Hashable, Sendable, CaseIterable {
            case never
            /// Pages of 2 MiB where the machine has enough of them, else ordinary ones.
            case prefer
        }

        package var id: PoolID
        /// Control areas included; nil: as much as a hypervisor takes that was told nothing.
        package var byteCount: Int?
        package var hugePages: HugePages

        package init(_ id: PoolID, byteCount: Int? = nil, hugePages: HugePages = .never) {
            self.id = id
            self.byteCount = byteCount
            self.hugePages = hugePages
        }
    }

    /// What some users and groups may do as administrators.
    package struct Role: Hashable, Sendable {
        package var name: String
        package var accounts: AccountSet
        package var rights: Set<Roles.Role>
        package var scope: Roles.Scope

        package init(name: String, accounts: AccountSet, rights: Set<Roles.Role>, scope: Roles.Scope = .all) {
            self.name = name
            self.accounts = accounts
            self.rights = rights
            self.scope = scope
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
    package var vlans: [VLANDefinition]
    /// Names that only some users may use.
    package var partitions: [PartitionDefinition] = []
    /// Where those may go that need to be let in, and what they may use there.
    package var authorisations: [Authorisation] = []
    package var roles: [Role] = []
    package var limits = Limits()
    package var auditPath: String?
    package var logLevel: LogLevel?

    package init(pools: [Pool] = [Pool(.default)], vlans: [VLANDefinition] = [VLANDefinition(.default)]) {
        self.pools = pools
        self.vlans = vlans
    }

    /// What a process may do as an administrator: everything that any role of its user or of one of its groups allows.
    package func roles(userID: UInt32, groupIDs: Set<UInt32>) -> Roles {
        var sum = Roles.none
        for role in self.roles where role.accounts.contains(userID: userID, groupIDs: groupIDs) {
            for right in role.rights { sum.grant(right, for: role.scope) }
        }
        return sum
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
