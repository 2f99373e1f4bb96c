package import SMCWire

/// What administrators may do (seed A58, A59): four kinds of rights, each for all VLANs or for some. Several
/// administrators may have distinct or overlapping ones.
package struct Roles: Hashable, Sendable {
    package enum Role: String, Hashable, Sendable, CaseIterable {
        /// See the books of partitions of other users.
        case look
        /// Let partitions onto VLANs, and take them off.
        case authorise
        /// Change slices, limits and the size of pools.
        case quota
        /// Create, change and destroy VLANs and partitions, switch the shared memory function, reload.
        case configure
    }

    /// For which VLANs a role is good.
    package enum Scope: Hashable, Sendable {
        /// For all, and for what concerns no VLAN.
        case all
        case vlans(Set<VLANID>)
    }

    private var scopes: [Role: Scope]

    package init(_ scopes: [Role: Scope] = [:]) {
        self.scopes = scopes
    }

    /// Of those who only use the hypervisor.
    package static let none = Roles()
    /// Of the hypervisor's own user, and root.
    package static let all = Roles(Dictionary(uniqueKeysWithValues: Role.allCases.map { ($0, .all) }))

    /// - Parameter vlan: nil: what concerns the whole CEC.
    package func include(_ role: Role, on vlan: VLANID?) -> Bool {
        switch (self.scopes[role], vlan) {
        case (.all, _): true
        case (.vlans(let vlans), let vlan?): vlans.contains(vlan)
        case (.vlans, nil), (nil, _): false
        }
    }

    /// Adds a role; scopes of one role add up.
    package mutating func grant(_ role: Role, for scope: Scope) {
        switch (self.scopes[role], scope) {
        case (.all, _): return
        case (.vlans(let old), .vlans(let new)): self.scopes[role] = .vlans(old.union(new))
        default: self.scopes[role] = scope
        }
    }
}
