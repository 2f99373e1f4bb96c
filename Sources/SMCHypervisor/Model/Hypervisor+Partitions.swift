internal import SMCWire

/// Joining, finding each other, leaving.
extension Hypervisor {
    /// A session becomes a partition with an address on each VLAN that it asks for (A38, A39, A42).
    mutating func join(_ caller: CallerID, _ name: String, _ wanted: [VLANID]) throws(Refused) -> ControlResponse {
        guard var session = self.sessions[caller], !session.isJoined else { throw Refused(.alreadyJoined) }
        guard self.partitionCount < self.configuration.partitionsMaximum else {
            throw Refused(
                .tooManyPartitions,
                "There are \(self.partitionCount) partitions, as many as this hypervisor may have; end some of them.")
        }
        session.name = name
        if let partition = self.partitions[name] {
            guard partition.isFor(session.identity) else {
                throw Refused(
                    .notAuthorized,
                    "The partition '\(name)' is defined for other users than \(session.identity.userID); use another "
                        + "name, or ask an administrator for it.")
            }
            session.isDefined = true
        }
        var vlans: [VLANID] = []
        for vlan in wanted.isEmpty ? [self.defaultVLAN].compactMap(\.self) : wanted where !vlans.contains(vlan) {
            try self.checkEntry(session, vlan)
            vlans.append(vlan)
        }
        guard !vlans.isEmpty else {
            throw Refused(.unknownVLAN, "There is no default VLAN here; name one of: \(self.vlanNames).")
        }
        session.isJoined = true
        self.sessions[caller] = session
        for vlan in vlans {
            self.addAddress(caller, vlan)
        }
        self.partitionCount += 1
        if session.isDefined { self.partitions[name]?.sessions.insert(caller) }
        self.object.partition = name
        let addresses = self.sessions[caller]?.addresses ?? []
        self.object.vlan = addresses.first?.vlan
        self.object.address = addresses.first?.smgid
        return .joined(
            Membership(
                cec: self.cec, addresses: addresses, hypervisorProcessID: self.configuration.processID,
                largestRingByteCount: self.largestRingByteCount(addresses)))
    }

    private func largestRingByteCount(_ addresses: [Membership.Address]) -> Int {
        self.pools.largestRingByteCount(in: Set(addresses.compactMap { self.vlans[$0.vlan]?.definition.pool }))
    }

    private var vlanNames: String {
        self.vlans.keys.sorted().map(\.name).joined(separator: ", ")
    }

    /// Whether a session may have an address on a VLAN (A42).
    private func checkEntry(_ session: Session, _ vlan: VLANID) throws(Refused) {
        guard let books = self.vlans[vlan] else {
            throw Refused(
                .unknownVLAN,
                "There is no VLAN \(vlan) here, only: \(self.vlanNames). An administrator can create it.")
        }
        guard books.definition.access == .authorised else { return }
        guard session.isDefined, books.authorisations[session.name] != nil else {
            let why = session.isDefined ? "is not authorised on it" : "is not defined"
            throw Refused(
                .notAuthorisedOnVLAN,
                "VLAN \(vlan) is for authorised partitions, and '\(session.name)' \(why); ask an administrator.")
        }
    }

    private mutating func addAddress(_ caller: CallerID, _ vlan: VLANID) {
        let address = self.newAddress()
        self.addresses[address] = AddressBooks(caller: caller, vlan: vlan)
        self.vlans[vlan]?.addresses.insert(address)
        self.sessions[caller]?.addresses.append(Membership.Address(vlan: vlan, smgid: address))
    }

    /// One more SM-GID (A24, A39).
    mutating func establish(_ caller: CallerID, _ vlan: VLANID) throws(Refused) -> ControlResponse {
        guard let session = self.sessions[caller] else { throw Refused(.notJoined) }
        try self.checkEntry(session, vlan)
        let count = session.addresses.count
        guard count < ControlLimits.addressesPerPartition else {
            throw Refused(
                .tooManyAddresses,
                "The partition has \(count) addresses, as many as it may have; withdraw one first.")
        }
        self.addAddress(caller, vlan)
        let new = self.sessions[caller]?.addresses.suffix(1) ?? []
        self.object.address = new.first?.smgid
        return .addresses(Array(new))
    }

    /// Gives an SM-GID up.
    mutating func withdraw(_ caller: CallerID, _ address: SMGID, _ isForced: Bool) throws(Refused) {
        guard let books = self.addresses[address], books.caller == caller else { throw Self.notOwn(address) }
        self.object.vlan = books.vlan
        guard isForced || (books.owned.isEmpty && books.bound.isEmpty) else {
            throw Refused(
                .addressInUse,
                "\(books.owned.count) SMBs of its own and \(books.bound.count) of others hang on \(address); destroy "
                    + "and unbind them first, or force it.")
        }
        self.endAddress(address)
    }

    /// Whose an address is and where. Without its sets: two holders of them would copy them at every change.
    func place(_ address: SMGID) -> (caller: CallerID, vlan: VLANID)? {
        self.addresses[address].map { ($0.caller, $0.vlan) }
    }

    static func notOwn(_ address: SMGID) -> Refused {
        Refused(.notOwnAddress, "The address \(address) is not this session's own; use one that join returned.")
    }

    /// The common-CEC query (A45).
    func commonCEC(_ caller: CallerID, _ peer: SMGID) -> CommonCECAnswer {
        guard let vlan = self.addresses[peer]?.vlan else {
            return .notCommon(
                .unknownPartition,
                "No partition of this hypervisor has the address \(peer); it is elsewhere, or gone."
            )
        }
        let addresses = self.sessions[caller]?.addresses ?? []
        guard addresses.contains(where: { $0.vlan == vlan }) else {
            let own = addresses.map(\.vlan.name).joined(separator: ", ")
            return .notCommon(
                .notOnCommonVLAN,
                "The partition at \(peer) is on this machine, but not on your VLAN (\(own)); let both join one."
            )
        }
        do throws(Refused) {
            try self.checkFunction(vlan)
            return .common(on: vlan)
        } catch {
            return .notCommon(error.code, error.text)
        }
    }

    /// Whether the shared memory function is enabled (A34).
    func checkFunction(_ vlan: VLANID) throws(Refused) {
        guard self.isFunctionEnabled else {
            throw Refused(.functionDisabled, "The shared memory function of this CEC is disabled; enable it.")
        }
        guard self.vlans[vlan]?.definition.isEnabled == true else {
            throw Refused(.functionDisabled, "The shared memory function of VLAN \(vlan) is disabled; enable it.")
        }
    }

    mutating func report(_ caller: CallerID, _ report: ConnectionReport) throws(Refused) {
        let maximum = self.configuration.reportsPerPartitionMaximum
        let count = self.sessions[caller]?.reports.count ?? 0
        guard count < maximum || self.sessions[caller]?.reports[report.identifier] != nil else {
            throw Refused(.tooManyReports, "This session has reported \(maximum) connections; no more are kept.")
        }
        self.sessions[caller]?.reports[report.identifier] = report
    }

    /// A session ended: everything of it comes back (and what others hold of it, when they let go).
    mutating func close(_ caller: CallerID) {
        guard let session = self.sessions[caller] else { return }
        for address in session.addresses {
            self.endAddress(address.smgid)
        }
        if session.isJoined { self.partitionCount -= 1 }
        if session.isDefined { self.partitions[session.name]?.sessions.remove(caller) }
        if self.statusSnapshot?.caller == caller { self.statusSnapshot = nil }
        self.sessions[caller] = nil
    }

    /// An address ends, with all that hangs on it; its counterparts are told.
    ///
    /// - Parameter isRevoked: an administrator took the right to it away.
    mutating func endAddress(_ address: SMGID, isRevoked: Bool = false) {
        guard let books = self.addresses[address] else { return }
        self.endSharing(of: address, isRevoked: isRevoked)
        self.addresses[address] = nil
        self.vlans[books.vlan]?.addresses.remove(address)
        self.sessions[books.caller]?.addresses.removeAll { $0.smgid == address }
    }

    /// All that hangs on an address ends; the address itself stays.
    mutating func endSharing(of address: SMGID, isRevoked: Bool) {
        guard let books = self.addresses[address] else { return }
        // Pairs first: with them their bindings' signals end, and everybody hears once.
        for id in books.pairs.sorted() {
            self.endPair(id, isRevoked ? .rightRevoked : .addressEnded)
        }
        for id in books.bound.sorted() {
            self.consequence(.unbind, of: id, peer: address)
            self.endBinding(id, address)
        }
        for id in books.owned.sorted() {
            self.consequence(.destroy, of: id, peer: nil)
            self.disown(id)
        }
    }

    /// Notes for the audit log that the SMB's owner, or a peer, lost its right by what somebody else did.
    func auditObject(_ smb: SharedMemoryBuffer, _ id: SMBID, peer: SMGID?) -> AuditRecord.Object {
        var object = AuditRecord.Object()
        object.vlan = smb.vlan
        object.smb = id.rawValue
        object.address = smb.owner.address
        object.peer = peer
        object.byteCount = smb.ringByteCount
        return object
    }

    mutating func consequence(_ action: AuditRecord.Action, of id: SMBID, peer: SMGID?) {
        guard let smb = self.smbs[id] else { return }
        let holder = peer.flatMap { smb.bindings[$0]?.caller } ?? smb.owner.caller
        guard let session = self.sessions[holder] else { return }
        var record = AuditRecord(
            action: action, caller: holder, identity: session.identity, partition: session.name,
            object: self.auditObject(smb, id, peer: peer))
        record.isConsequence = true
        self.consequences.append(record)
    }
}
