internal import SMCWire

/// The books for people.
extension Hypervisor {
    /// The items of one look at the books, kept until its last page was asked for, so that a look costs what one look
    /// costs. There is one at a time; whoever loses it gets pages of the books as they are then.
    struct StatusSnapshot {
        let caller: CallerID
        let items: [StatusPage.Item]
    }

    /// One page of what the session may see.
    mutating func status(for caller: CallerID, _ firstItem: Int) -> StatusPage {
        let items: [StatusPage.Item]
        if firstItem > 0, let snapshot = self.statusSnapshot, snapshot.caller == caller {
            items = snapshot.items
        } else {
            let identity = self.sessions[caller]?.identity ?? CallerIdentity(processID: 0, userID: .max)
            items = StatusPage.items(of: self.books(for: identity))
        }
        let page = StatusPage(tables: self.tables, items: items, firstItem: firstItem)
        if page.hasMore {
            self.statusSnapshot = StatusSnapshot(caller: caller, items: items)
        } else if self.statusSnapshot?.caller == caller {
            self.statusSnapshot = nil
        }
        return page
    }

    /// What administrators decide, whole: pools, VLANs, partitions, authorisations.
    var administeredBooks: HypervisorStatus {
        var status = self.tables
        status.definitions = self.partitions.values.map(\.definition).sorted { $0.name < $1.name }
        for (_, books) in self.vlans.sorted(by: { $0.key < $1.key }) {
            status.authorisations += books.authorisations.values.sorted { $0.partition < $1.partition }
        }
        return status
    }

    /// Pools and VLANs.
    private var tables: HypervisorStatus {
        var status = HypervisorStatus(
            processID: self.configuration.processID, cec: self.cec, isFunctionEnabled: self.isFunctionEnabled)
        status.pools = self.pools.statuses
        // The default one first, as at the start; the others by name.
        let rest = self.vlans.keys.filter { $0 != self.defaultVLAN }.sorted()
        for vlan in [self.defaultVLAN].compactMap(\.self) + rest {
            guard let books = self.vlans[vlan] else { continue }
            status.vlans.append(
                VLANStatus(
                    definition: books.definition, usedByteCount: self.pools.usedByteCount(.vlan(vlan)),
                    limitByteCount: self.limit(books), partitionCount: books.addresses.count))
        }
        return status
    }

    /// Partitions, SMBs and connections: of the identity's own user, and of VLANs on which it may look. Sorted, so that
    /// two looks at the same books are equal.
    private func books(for identity: CallerIdentity) -> HypervisorStatus {
        var status = HypervisorStatus(processID: 0, cec: self.cec)
        var shown: Set<SMGID> = []
        let sessions = self.sessions.filter(\.value.isJoined).sorted { $0.key.rawValue < $1.key.rawValue }
        for (_, session) in sessions {
            let isOwn = session.identity.userID == identity.userID
            let seesAll = isOwn || identity.roles.include(.look, on: nil)
            let addresses = session.addresses.filter { seesAll || identity.roles.include(.look, on: $0.vlan) }
            guard seesAll || !addresses.isEmpty else { continue }
            shown.formUnion(addresses.map(\.smgid))
            status.partitions.append(
                PartitionStatus(
                    name: session.name, processID: session.identity.processID, userID: session.identity.userID,
                    addresses: addresses))
            for report in session.reports.values.sorted(by: { $0.identifier < $1.identifier }) {
                status.connections.append(ConnectionStatus(partition: session.name, report: report))
            }
        }
        for (id, smb) in self.smbs.sorted(by: { $0.key < $1.key }) {
            let peers = smb.bindings.isEmpty ? [nil] : smb.sortedBindings.map { Optional($0) }
            for binding in peers
            where shown.contains(smb.owner.address) || binding.map({ shown.contains($0.peer) }) == true {
                let state: SMBStatus.State = binding.map { $0.isAccepted ? .accepted : .offered } ?? .created
                status.smbs.append(
                    SMBStatus(
                        number: id.rawValue, vlan: smb.vlan, owner: smb.owner.address, peer: binding?.peer,
                        ringByteCount: smb.ringByteCount, state: state, isTainted: smb.isTainted))
            }
        }
        status.smbs += self.adoptedStatuses { shown.contains($0) }
        status.usages = self.usages(for: identity)
        if identity.roles.include(.look, on: nil) {
            status.definitions = self.partitions.values.map(\.definition).sorted { $0.name < $1.name }
        }
        for (vlan, books) in self.vlans.sorted(by: { $0.key < $1.key }) where identity.roles.include(.look, on: vlan) {
            status.authorisations += books.authorisations.values.sorted { $0.partition < $1.partition }
        }
        return status
    }

    /// Who uses how much memory of which VLAN.
    private func usages(for identity: CallerIdentity) -> [UsageStatus] {
        let usages = self.pools.memberByteCounts.compactMap { account, byteCount -> UsageStatus? in
            guard let books = self.vlans[account.vlan] else { return nil }
            let name: String
            var session: Session?
            switch account.partition {
            case .defined(let defined): name = defined
            case .session(let caller):
                session = self.sessions[caller]
                name = session?.name ?? ""
            }
            let isOwn = session?.identity.userID == identity.userID
            guard isOwn || identity.roles.include(.look, on: account.vlan) else { return nil }
            let limit =
                session == nil
                ? books.authorisations[name]?.limitByteCount ?? books.definition.partitionLimitByteCount
                : books.definition.partitionLimitByteCount
            return UsageStatus(
                partition: name, processID: session?.identity.processID, vlan: account.vlan, usedByteCount: byteCount,
                limitByteCount: limit)
        }
        return usages.sorted {
            ($0.vlan.name, $0.partition, $0.processID ?? 0) < ($1.vlan.name, $1.partition, $1.processID ?? 0)
        }
    }
}
