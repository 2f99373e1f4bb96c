internal import SMCWire

/// What administrators decide (A34, A36-A42, A58-A62).
extension Hypervisor {
    mutating func administer(_ caller: CallerID, _ request: AdministrativeRequest) throws(Refused) -> ControlResponse {
        guard let identity = self.sessions[caller]?.identity else { throw Refused(.notJoined) }
        switch request {
        case .growPool(let pool, let byteCount): return try self.growPool(identity, pool, byteCount)
        case .shrinkPool(let pool, let byteCount): return try self.shrinkPool(identity, pool, byteCount)
        default:
            try self.change(identity, request)
            return .done
        }
    }

    private mutating func change(_ identity: CallerIdentity, _ request: AdministrativeRequest) throws(Refused) {
        switch request {
        case .growPool, .shrinkPool: preconditionFailure("answered before")
        case .createVLAN(let definition): try self.createVLAN(identity, definition)
        case .changeVLAN(let definition): try self.changeVLAN(identity, definition)
        case .destroyVLAN(let vlan, let isForced): try self.destroyVLAN(identity, vlan, isForced)
        case .setFunction(let isEnabled, let vlan):
            try self.require(.configure, on: vlan, identity)
            if let vlan { try self.checkVLAN(vlan) }
            self.setFunction(isEnabled, vlan)
        case .setSlice(let vlan, let byteCount):
            try self.require(.quota, on: vlan, identity)
            try self.checkVLAN(vlan)
            self.vlans[vlan]?.definition.sliceByteCount = byteCount
        case .createPartition(let definition): try self.createPartition(identity, definition)
        case .changePartition(let definition):
            try self.require(.configure, on: nil, identity)
            try self.checkPartition(definition.name)
            self.partitions[definition.name]?.definition = definition
        case .destroyPartition(let name, let isForced): try self.destroyPartition(identity, name, isForced)
        case .authorise(let authorisation): try self.authorise(identity, authorisation)
        case .revoke(let partition, let vlan): try self.revoke(identity, partition, vlan)
        case .reload:
            try self.require(.configure, on: nil, identity)
            self.effects.append(.readSettings)
        }
    }

    /// Switches the shared memory function of a VLAN, or of the CEC. What is shared where it is switched off ends;
    /// addresses stay, so that sharing can begin anew (A34, A40).
    mutating func setFunction(_ isEnabled: Bool, _ vlan: VLANID?) {
        if let vlan {
            self.vlans[vlan]?.definition.isEnabled = isEnabled
        } else {
            self.isFunctionEnabled = isEnabled
        }
        guard !isEnabled else { return }
        for id in vlan.map({ [$0] }) ?? self.vlans.keys.sorted() {
            for address in Self.sorted(self.vlans[id]?.addresses ?? []) {
                self.endSharing(of: address, isRevoked: true)
            }
        }
    }

    private static func sorted(_ addresses: Set<SMGID>) -> [SMGID] {
        addresses.sorted { ($0.gid, $0.extendedGID) < ($1.gid, $1.extendedGID) }
    }

    /// Refuses whoever has not the role, and names it.
    func require(_ role: Roles.Role, on vlan: VLANID?, _ identity: CallerIdentity) throws(Refused) {
        guard !identity.roles.include(role, on: vlan) else { return }
        let place = vlan.map { "on VLAN \($0)" } ?? "for all VLANs"
        throw Refused(
            .notAuthorized,
            "It takes the role '\(role.rawValue)' \(place), which user \(identity.userID) does not have; ask an "
                + "administrator.")
    }

    // MARK: VLANs

    private func checkVLAN(_ vlan: VLANID) throws(Refused) {
        guard self.vlans[vlan] != nil else {
            throw Refused(.unknownVLAN, "There is no VLAN \(vlan) here; create it first.")
        }
    }

    private mutating func createVLAN(_ identity: CallerIdentity, _ definition: VLANDefinition) throws(Refused) {
        try self.require(.configure, on: definition.id, identity)
        guard self.vlans[definition.id] == nil else {
            throw Refused(.vlanExists, "There is a VLAN \(definition.id) already; change it, or choose another name.")
        }
        guard self.vlans.count < ControlLimits.vlansPerHypervisor else {
            throw Refused(
                .tooManyVLANs, "There are \(self.vlans.count) VLANs, as many as there may be; destroy one first.")
        }
        guard self.pools.hasPool(definition.pool) else { throw self.pools.unknown(definition.pool) }
        self.vlans[definition.id] = VLANBooks(definition: definition)
        if self.defaultVLAN == nil { self.defaultVLAN = definition.id }
    }

    private mutating func changeVLAN(_ identity: CallerIdentity, _ definition: VLANDefinition) throws(Refused) {
        try self.require(.configure, on: definition.id, identity)
        try self.checkVLAN(definition.id)
        guard let old = self.vlans[definition.id]?.definition else { return }
        guard definition.pool == old.pool else {
            throw Refused(
                .vlanInUse,
                "VLAN \(old.id) takes its memory from pool \(old.pool); destroy and create it to change that.")
        }
        if definition.sliceByteCount != old.sliceByteCount
            || definition.partitionLimitByteCount != old.partitionLimitByteCount
        {
            try self.require(.quota, on: definition.id, identity)
        }
        self.vlans[definition.id]?.definition = definition
        if !definition.isEnabled { self.setFunction(false, definition.id) }
    }

    private mutating func destroyVLAN(_ identity: CallerIdentity, _ vlan: VLANID, _ isForced: Bool) throws(Refused) {
        try self.require(.configure, on: vlan, identity)
        try self.checkVLAN(vlan)
        let addresses = self.vlans[vlan]?.addresses ?? []
        guard isForced || addresses.isEmpty else {
            throw Refused(
                .vlanInUse, "There are \(addresses.count) addresses on VLAN \(vlan); end them first, or force it.")
        }
        for address in Self.sorted(addresses) {
            self.endAddress(address, isRevoked: true)
        }
        self.vlans[vlan] = nil
        if self.defaultVLAN == vlan { self.defaultVLAN = nil }
    }

    // MARK: Partitions

    private func checkPartition(_ name: String) throws(Refused) {
        guard self.partitions[name] != nil else {
            throw Refused(.undefinedPartition, "No partition '\(name)' is defined; create it first.")
        }
    }

    private mutating func createPartition(_ identity: CallerIdentity, _ definition: PartitionDefinition) throws(Refused)
    {
        try self.require(.configure, on: nil, identity)
        guard self.partitions[definition.name] == nil else {
            throw Refused(
                .partitionExists,
                "A partition '\(definition.name)' is defined already; change it, or choose another name.")
        }
        guard self.partitions.count < ControlLimits.partitionDefinitions else {
            throw Refused(
                .tooManyDefinitions, "\(self.partitions.count) partitions are defined, as many as may be; remove some.")
        }
        self.partitions[definition.name] = PartitionBooks(definition: definition)
    }

    private mutating func destroyPartition(_ identity: CallerIdentity, _ name: String, _ isForced: Bool) throws(Refused)
    {
        try self.require(.configure, on: nil, identity)
        try self.checkPartition(name)
        let sessions = self.partitions[name]?.sessions ?? []
        guard isForced || sessions.isEmpty else {
            throw Refused(
                .partitionInUse, "\(sessions.count) sessions use the partition '\(name)'; end them first, or force it.")
        }
        for caller in sessions.sorted(by: { $0.rawValue < $1.rawValue }) {
            for address in self.sessions[caller]?.addresses ?? [] {
                self.endAddress(address.smgid, isRevoked: true)
            }
            self.sessions[caller]?.isDefined = false
        }
        self.partitions[name] = nil
        for vlan in self.vlans.keys {
            self.vlans[vlan]?.authorisations[name] = nil
        }
    }

    private mutating func authorise(_ identity: CallerIdentity, _ authorisation: Authorisation) throws(Refused) {
        try self.require(.authorise, on: authorisation.vlan, identity)
        try self.checkVLAN(authorisation.vlan)
        try self.checkPartition(authorisation.partition)
        let known = self.vlans[authorisation.vlan]?.authorisations ?? [:]
        guard known[authorisation.partition] != nil || known.count < ControlLimits.authorisationsPerVLAN else {
            throw Refused(
                .tooManyDefinitions,
                "\(known.count) partitions are authorised on VLAN \(authorisation.vlan), as many as may be; revoke some."
            )
        }
        self.vlans[authorisation.vlan]?.authorisations[authorisation.partition] = authorisation
    }

    /// The partition's addresses on the VLAN end, and with them its SMBs, bindings and tokens there.
    private mutating func revoke(_ identity: CallerIdentity, _ name: String, _ vlan: VLANID) throws(Refused) {
        try self.require(.authorise, on: vlan, identity)
        try self.checkVLAN(vlan)
        guard self.vlans[vlan]?.authorisations[name] != nil else {
            throw Refused(.notAuthorisedOnVLAN, "The partition '\(name)' is not authorised on VLAN \(vlan).")
        }
        self.vlans[vlan]?.authorisations[name] = nil
        for caller in (self.partitions[name]?.sessions ?? []).sorted(by: { $0.rawValue < $1.rawValue }) {
            for address in self.sessions[caller]?.addresses ?? [] where address.vlan == vlan {
                self.endAddress(address.smgid, isRevoked: true)
            }
        }
    }
}
