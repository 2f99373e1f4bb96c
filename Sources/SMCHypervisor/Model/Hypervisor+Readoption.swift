internal import SMCWire

/// Re-registration: partitions that outlived a hypervisor enter the SMBs that they still hold into the books of the
/// next one. Their connections never stopped; this is so that the books are right and the limits hold.
extension Hypervisor {
    /// Enters an SMB of an earlier hypervisor, or, when its other holder was here already, joins the two.
    ///
    /// - Parameter identity: which memory it is. The shell has checked that it is a sealed file of the size that was
    ///   said, and no block of this pool.
    mutating func reregister(
        _ caller: CallerID, _ registration: Reregistration, _ identity: MemoryIdentity
    ) throws(Refused) -> ControlResponse {
        self.object.address = registration.address
        self.object.byteCount = registration.ringByteCount
        guard let books = self.addresses[registration.address], books.caller == caller else {
            throw Self.notOwn(registration.address)
        }
        self.object.vlan = books.vlan
        let known = self.adopted.find(identity)
        if let known {
            try Self.check(registration, books.vlan, against: known.buffer)
        } else {
            try self.checkRoom(registration, books.vlan)
        }
        if registration.role == .owner { try self.checkQuota(registration, books.vlan, caller) }
        // Nothing is refused from here on.
        let id = known?.id ?? self.adopt(registration, identity, books.vlan)
        self.object.smb = id.rawValue
        switch registration.role {
        case .owner:
            let token: OwnerToken = self.newToken()
            let account = self.sessions[caller]?.account ?? .session(caller)
            for one in [PoolAccount.partition(account), .member(account, books.vlan)] {
                self.pools.charge(registration.fileByteCount, to: one)
            }
            let owner = AdoptedBuffer.Holder(caller: caller, address: registration.address, token: token)
            self.adopted.setOwner(id, owner, account)
            return .reregistered(.owner(token))
        case .peer:
            let token: BufferToken = self.newToken()
            self.adopted.setPeer(id, .init(caller: caller, address: registration.address, token: token))
            return .reregistered(.peer(token))
        }
    }

    private mutating func adopt(
        _ registration: Reregistration, _ identity: MemoryIdentity, _ vlan: VLANID
    ) -> AdoptedID {
        let id = AdoptedID(self.newNumber())
        self.adopted.add(
            id,
            AdoptedBuffer(
                identity: identity, vlan: vlan, ringByteCount: registration.ringByteCount,
                fileByteCount: registration.fileByteCount))
        self.pools.charge(registration.fileByteCount, to: .vlan(vlan))
        self.effects.append(.keepAdopted(id))
        return id
    }

    private static func check(
        _ registration: Reregistration, _ vlan: VLANID, against buffer: AdoptedBuffer
    ) throws(Refused) {
        guard buffer.vlan == vlan else {
            throw Refused(
                .notOnCommonVLAN, "The SMB was re-registered on VLAN \(buffer.vlan), so it cannot be on \(vlan) too.")
        }
        guard buffer.ringByteCount == registration.ringByteCount,
            buffer.fileByteCount == registration.fileByteCount
        else { throw Refused(.unsuitableMemory, "The SMB was re-registered with another size.") }
        let isTaken = registration.role == .owner ? buffer.owner != nil : buffer.peer != nil
        guard !isTaken else { throw Refused(.alreadyBound, "The SMB was re-registered in this role already.") }
    }

    private func checkRoom(_ registration: Reregistration, _ vlan: VLANID) throws(Refused) {
        guard self.adopted.count < self.configuration.adoptedMaximum else {
            throw Refused(
                .outOfResources,
                "\(self.adopted.count) SMBs of earlier hypervisors are kept, as many as there may be; close connections."
            )
        }
        guard let books = self.vlans[vlan] else { throw Refused(.unknownVLAN) }
        let (used, limit) = (self.pools.usedByteCount(.vlan(vlan)), self.limit(books))
        guard registration.fileByteCount <= limit - used else {
            throw Refused(
                .poolExhausted,
                "VLAN \(vlan) uses \(used) of the \(limit) bytes that it may use, so an SMB of "
                    + "\(registration.fileByteCount) cannot be re-registered.")
        }
    }

    private func checkQuota(_ registration: Reregistration, _ vlan: VLANID, _ caller: CallerID) throws(Refused) {
        guard let books = self.vlans[vlan], let session = self.sessions[caller] else { throw Refused(.unknownVLAN) }
        for limit in self.limits(session, books) where limit.refusal == .quotaExceeded {
            let used = self.pools.usedByteCount(limit.account)
            guard registration.fileByteCount <= limit.byteCount - used else {
                throw Refused(
                    .quotaExceeded,
                    "\(limit.name) uses \(used) of the \(limit.byteCount) bytes that it may use, so an SMB of "
                        + "\(registration.fileByteCount) cannot be re-registered.")
            }
        }
    }

    // MARK: Endings

    /// Whether the token was of an SMB that was re-registered; then it is given back.
    mutating func destroyAdopted(_ caller: CallerID, _ token: OwnerToken) -> Bool {
        guard let id = self.adopted.find(token, of: caller) else { return false }
        self.endOwner(id)
        return true
    }

    /// As ``destroyAdopted(_:_:)``, for the peer.
    mutating func unbindAdopted(_ caller: CallerID, _ token: BufferToken) -> Bool {
        guard let id = self.adopted.find(token, of: caller) else { return false }
        self.object = self.auditObject(id)
        self.adopted.endPeer(id)
        self.dropIfUnheld(id)
        return true
    }

    /// An address ended: what it had re-registered is held by the other holder alone, or gone.
    mutating func endAdopted(_ address: SMGID) {
        for id in self.adopted.held(by: address) {
            guard let buffer = self.adopted.buffers[id] else { continue }
            if buffer.owner?.address == address { self.endOwner(id) }
            if buffer.peer?.address == address {
                self.adopted.endPeer(id)
                self.dropIfUnheld(id)
            }
        }
    }

    private mutating func endOwner(_ id: AdoptedID) {
        guard let buffer = self.adopted.buffers[id] else { return }
        self.object = self.auditObject(id)
        if let account = buffer.account {
            for one in [PoolAccount.partition(account), .member(account, buffer.vlan)] {
                self.pools.discharge(buffer.fileByteCount, from: one)
            }
        }
        self.adopted.endOwner(id)
        self.dropIfUnheld(id)
    }

    private mutating func dropIfUnheld(_ id: AdoptedID) {
        guard let gone = self.adopted.removeIfUnheld(id) else { return }
        self.pools.discharge(gone.fileByteCount, from: .vlan(gone.vlan))
        self.effects.append(.dropAdopted(id))
    }

    private func auditObject(_ id: AdoptedID) -> AuditRecord.Object {
        var object = AuditRecord.Object()
        guard let buffer = self.adopted.buffers[id] else { return object }
        object.smb = id.rawValue
        object.vlan = buffer.vlan
        object.address = buffer.owner?.address
        object.peer = buffer.peer?.address
        object.byteCount = buffer.ringByteCount
        return object
    }

    /// What can be done with an SMB of this hypervisor only.
    func checkNotAdopted(_ caller: CallerID, _ token: OwnerToken) throws(Refused) {
        guard self.adopted.find(token, of: caller) == nil else {
            throw Refused(
                .unsuitableMemory,
                "The SMB is of an earlier hypervisor, and can only be used on and destroyed; create another.")
        }
    }

    /// What people see of them.
    ///
    /// - Parameter isShown: whether the caller may see a partition.
    func adoptedStatuses(_ isShown: (SMGID) -> Bool) -> [SMBStatus] {
        self.adopted.buffers.sorted { $0.key < $1.key }.compactMap { id, buffer in
            let (owner, peer) = (buffer.owner?.address, buffer.peer?.address)
            guard owner.map(isShown) == true || peer.map(isShown) == true else { return nil }
            let state: SMBStatus.State = owner == nil ? .orphaned : peer == nil ? .created : .accepted
            return SMBStatus(
                number: id.rawValue, vlan: buffer.vlan, owner: owner, peer: peer,
                ringByteCount: buffer.ringByteCount, state: state)
        }
    }
}
