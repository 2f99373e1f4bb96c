package import SMCWire

/// What an administrator may do (seed A58, A59).
package enum AdministrativeRight: String, Hashable, Sendable, CaseIterable {
    /// See the books, those of others too.
    case look
    /// Say who may join a VLAN.
    case authorise
    /// Say how much memory a VLAN or a partition may use.
    case quota
    /// Make and remove VLANs, partitions and pools, switch them on and off, and have the configuration read again.
    case configure
}

/// Rights of some users and groups, everywhere or on some VLANs. Several roles may overlap.
package struct AdministrativeRole: Hashable, Sendable {
    package enum Scope: Hashable, Sendable {
        case everywhere
        case vlans(Set<VLANID>)
    }

    package var name: String
    package var accounts: AccountSet
    package var rights: Set<AdministrativeRight>
    package var scope: Scope

    package init(name: String, accounts: AccountSet, rights: Set<AdministrativeRight>, scope: Scope = .everywhere) {
        self.name = name
        self.accounts = accounts
        self.rights = rights
        self.scope = scope
    }
}
