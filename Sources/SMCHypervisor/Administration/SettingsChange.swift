package import SMCWire

/// Why a configuration cannot be put into force while the hypervisor runs. Nothing of it was.
package struct SettingsRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    package var reasons: [String]

    package init(_ reasons: [String]) {
        self.reasons = reasons
    }

    package var description: String {
        self.reasons.joined(separator: "; ")
    }
}

/// The way from the books as they are to what a configuration says. No I/O.
package enum SettingsChange {
    /// Instructions that make the books what `new` says: what stands there is made, or changed if it is otherwise; what
    /// stood in `old` and stands there no more is removed, unless it is in use. What administrators made besides stays.
    ///
    /// - Parameter old: what the books were made from, before administrators changed them.
    /// - Throws: what can only be changed by a new start.
    package static func requests(
        from old: HypervisorSettings, to new: HypervisorSettings, books: HypervisorStatus
    ) throws(SettingsRefusal) -> [AdministrativeRequest] {
        let obstacles = Self.obstacles(from: old, to: new) + Self.poolObstacles(from: old, to: new, books)
        guard obstacles.isEmpty else { throw SettingsRefusal(obstacles) }
        return Self.vlanRequests(new, books) + Self.partitionRequests(new, books)
            + Self.authorisationRequests(new, books) + Self.removals(from: old, to: new, books)
    }

    /// What a running hypervisor cannot change.
    private static func obstacles(from old: HypervisorSettings, to new: HypervisorSettings) -> [String] {
        var obstacles: [String] = []
        if old.socketPath != new.socketPath {
            obstacles.append("'socket' was \(old.socketPath ?? "not set") and is \(new.socketPath ?? "not set")")
        }
        if old.service != new.service {
            obstacles.append(
                "'serve' was \(old.service?.rawValue ?? "not set") and is \(new.service?.rawValue ?? "not set")")
        }
        if old.vlans.first?.id != new.vlans.first?.id {
            let (before, after) = (old.vlans.first?.id.name ?? "", new.vlans.first?.id.name ?? "")
            obstacles.append("the first VLAN, which is for programs that ask for none, was \(before) and is \(after)")
        }
        for pool in old.pools {
            guard let next = new.pools.first(where: { $0.id == pool.id }) else {
                obstacles.append("the pool \(pool.id) is gone")
                continue
            }
            if pool.hugePages != next.hugePages {
                obstacles.append("'huge-pages' of the pool \(pool.id) was \(pool.hugePages) and is \(next.hugePages)")
            }
        }
        for pool in new.pools where !old.pools.contains(where: { $0.id == pool.id }) {
            obstacles.append("the pool \(pool.id) is new")
        }
        return obstacles.map { "\($0): that needs a new start" }
    }

    /// Taking memory takes time and may fail, so it is a verb of its own; then the file may say the new size.
    private static func poolObstacles(
        from old: HypervisorSettings, to new: HypervisorSettings, _ books: HypervisorStatus
    ) -> [String] {
        new.pools.compactMap { pool in
            guard let wanted = pool.byteCount, let before = old.pools.first(where: { $0.id == pool.id }),
                before.byteCount != wanted
            else { return nil }
            let classes = books.pools.filter { $0.pool == pool.id }
            let present = classes.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
            // A pool is a whole number of blocks, so it is never exactly what was asked for.
            let tolerance = 2 * (classes.map(\.fileByteCount).max() ?? 0)
            guard abs(present - wanted) > tolerance else { return nil }
            let verb = present < wanted ? "grow" : "shrink"
            return
                "the pool \(pool.id) has \(present) bytes and its 'size' is \(wanted) now: run `smc admin pool \(verb) "
                + "\(pool.id) \(abs(present - wanted))` first"
        }
    }

    private static func vlanRequests(_ new: HypervisorSettings, _ books: HypervisorStatus) -> [AdministrativeRequest] {
        let present = Dictionary(uniqueKeysWithValues: books.vlans.map { ($0.vlan, $0.definition) })
        return new.vlans.flatMap { wanted -> [AdministrativeRequest] in
            guard var definition = present[wanted.id] else { return [.createVLAN(wanted)] }
            // To switch it off is more than to say that it is off: what is shared there ends.
            let isSwitched = definition.isEnabled != wanted.isEnabled
            definition.isEnabled = wanted.isEnabled
            return (definition == wanted ? [] : [.changeVLAN(wanted)])
                + (isSwitched ? [.setFunction(isEnabled: wanted.isEnabled, wanted.id)] : [])
        }
    }

    private static func partitionRequests(
        _ new: HypervisorSettings, _ books: HypervisorStatus
    ) -> [AdministrativeRequest] {
        let present = Dictionary(uniqueKeysWithValues: books.definitions.map { ($0.name, $0) })
        return new.partitions.compactMap { wanted in
            guard let definition = present[wanted.name] else { return .createPartition(wanted) }
            let isSame =
                AccountSet(definition) == AccountSet(wanted) && definition.limitByteCount == wanted.limitByteCount
            return isSame ? nil : .changePartition(wanted)
        }
    }

    private static func authorisationRequests(
        _ new: HypervisorSettings, _ books: HypervisorStatus
    ) -> [AdministrativeRequest] {
        let present = Set(books.authorisations)
        return new.authorisations.filter { !present.contains($0) }.map { .authorise($0) }
    }

    private static func removals(
        from old: HypervisorSettings, to new: HypervisorSettings, _ books: HypervisorStatus
    ) -> [AdministrativeRequest] {
        func right(_ authorisation: Authorisation) -> [String] { [authorisation.partition, authorisation.vlan.name] }
        let (rights, present) = (Set(new.authorisations.map(right)), Set(books.authorisations.map(right)))
        let revoked = old.authorisations.filter { !rights.contains(right($0)) && present.contains(right($0)) }
        let partitions = old.partitions.map(\.name).filter { name in
            !new.partitions.contains { $0.name == name } && books.definitions.contains { $0.name == name }
        }
        let vlans = old.vlans.map(\.id).filter { id in
            !new.vlans.contains { $0.id == id } && books.vlans.contains { $0.vlan == id }
        }
        return revoked.map { .revoke(partition: $0.partition, $0.vlan) }
            + partitions.map { .destroyPartition($0, isForced: false) }
            + vlans.map { .destroyVLAN($0, isForced: false) }
    }
}

extension AccountSet {
    package init(_ definition: PartitionDefinition) {
        self.init(userIDs: Set(definition.userIDs), groupIDs: Set(definition.groupIDs))
    }
}
