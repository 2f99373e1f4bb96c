internal import SMCWire

/// Joining, finding each other, leaving.
extension Hypervisor {
    /// A session becomes a partition with an address on each VLAN that it asks for (A38, A39, A42).
    mutating func join(_ caller: CallerID, _ name: String, _ wanted: [VLANID]) throws(Refused) -> ControlResponse {
        guard var session = self.sessions[caller], !session.isPartition else { throw Refused(.alreadyJoined) }
        guard self.partitionCount < self.configuration.partitionsMaximum else {
            throw Refused(
                .tooManyPartitions,
                "There are \(self.partitionCount) partitions, as many as this hypervisor may have; end some of them.")
        }
        var vlans: [VLANID] = []
        for vlan in wanted.isEmpty ? self.configuration.vlans.prefix(1).map(\.id) : wanted where !vlans.contains(vlan) {
            guard self.configuration.vlans.contains(where: { $0.id == vlan }) else {
                let known = self.configuration.vlans.map(\.id.name).joined(separator: ", ")
                throw Refused(
                    .unknownVLAN,
                    "There is no VLAN \(vlan) here, only: \(known). Start the hypervisor with --vlan to have it."
                )
            }
            vlans.append(vlan)
        }
        session.name = name
        for vlan in vlans {
            let address = self.newAddress()
            self.addresses[address] = (caller, vlan)
            session.addresses.append(Membership.Address(vlan: vlan, smgid: address))
        }
        self.sessions[caller] = session
        self.partitionCount += 1
        return .joined(
            Membership(
                cec: self.cec, addresses: session.addresses, hypervisorProcessID: self.configuration.processID,
                largestRingByteCount: self.pool.largestRingByteCount()))
    }

    /// The common-CEC query (A45).
    func commonCEC(_ session: Session, _ peer: SMGID) -> CommonCECAnswer {
        guard let (_, vlan) = self.addresses[peer] else {
            return .notCommon(
                .unknownPartition,
                "No partition of this hypervisor has the address \(peer); it is elsewhere, or gone."
            )
        }
        guard session.addresses.contains(where: { $0.vlan == vlan }) else {
            let own = session.addresses.map(\.vlan.name).joined(separator: ", ")
            return .notCommon(
                .notOnCommonVLAN,
                "The partition at \(peer) is on this machine, but not on your VLAN (\(own)); let both join one."
            )
        }
        return .common(on: vlan)
    }

    mutating func report(_ caller: CallerID, _ report: ConnectionReport) throws(Refused) {
        let maximum = self.configuration.reportsPerPartitionMaximum
        let reports = self.sessions[caller]?.reports ?? [:]
        guard reports[report.identifier] != nil || reports.count < maximum else {
            throw Refused(.tooManyReports, "This session has reported \(maximum) connections; no more are kept.")
        }
        self.sessions[caller]?.reports[report.identifier] = report
    }

    /// A session ended: everything of it comes back (and what others hold of it, when they let go).
    mutating func close(_ caller: CallerID) {
        guard let session = self.sessions[caller] else { return }
        let own = Set(session.addresses.map(\.smgid))
        // Pairs first, in a fixed order: what is bound below must not end them silently.
        let ended = self.pairs.filter { own.contains($0.value.key.low) || own.contains($0.value.key.high) }
        for (id, pair) in ended.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            self.pairs[id] = nil
            self.pairsByKey[pair.key] = nil
            self.effects.append(.markGone(id))
            self.effects.append(.dropPair(id))
        }
        for id in session.bound.sorted(by: { $0.rawValue < $1.rawValue }) {
            self.endBinding(id)
        }
        for id in session.owned.sorted(by: { $0.rawValue < $1.rawValue }) {
            self.disown(id)
        }
        for address in own {
            self.addresses[address] = nil
        }
        if session.isPartition { self.partitionCount -= 1 }
        self.sessions[caller] = nil
    }

    /// The books for people. Sorted, so that two looks at the same books are equal.
    var status: HypervisorStatus {
        var status = HypervisorStatus(
            processID: self.configuration.processID, cec: self.cec, pools: self.pool.statuses)
        let partitions = self.sessions.filter(\.value.isPartition).sorted { $0.key.rawValue < $1.key.rawValue }
        for (_, session) in partitions {
            status.partitions.append(
                PartitionStatus(
                    name: session.name, processID: session.identity.processID, userID: session.identity.userID,
                    addresses: session.addresses))
            for report in session.reports.values.sorted(by: { $0.identifier < $1.identifier }) {
                status.connections.append(ConnectionStatus(partition: session.name, report: report))
            }
        }
        for vlan in self.configuration.vlans {
            status.vlans.append(
                VLANStatus(
                    vlan: vlan.id, usedByteCount: self.pool.usedByteCount(.vlan(vlan.id)),
                    limitByteCount: self.limit(vlan.id),
                    partitionCount: self.addresses.values.count { $0.vlan == vlan.id }))
        }
        for (_, smb) in self.smbs.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            status.smbs.append(
                SMBStatus(
                    vlan: smb.vlan, owner: smb.owner?.address, peer: smb.binding?.peer,
                    ringByteCount: self.pool.ringByteCount(smb.block), state: smb.state))
        }
        return status
    }

    /// Bytes of the pool that a VLAN may use (A62).
    func limit(_ vlan: VLANID) -> Int {
        let limit = self.configuration.vlans.first { $0.id == vlan }?.limitByteCount
        return min(limit ?? .max, self.pool.byteCount())
    }
}
