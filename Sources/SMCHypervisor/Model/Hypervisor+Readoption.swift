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
        guard let (holder, vlan) = self.addresses[registration.address], holder == caller else {
            throw Refused(
                .notOwnAddress,
                "The address \(registration.address) is not this session's own; use one that join returned.")
        }
        let id: AdoptedID
        if let (known, buffer) = self.adopted.find(identity) {
            try Self.check(registration, vlan, against: buffer)
            id = known
        } else {
            try self.checkRoom(registration, vlan)
            id = AdoptedID(self.newNumber())
            self.adopted.add(
                id,
                AdoptedBuffer(
                    identity: identity, vlan: vlan, ringByteCount: registration.ringByteCount,
                    fileByteCount: registration.fileByteCount))
            self.pool.adopt(byteCount: registration.fileByteCount, for: vlan)
            self.effects.append(.keepAdopted(id))
        }
        switch registration.role {
        case .owner:
            let token: OwnerToken = self.newToken()
            self.adopted.setOwner(id, .init(caller: caller, address: registration.address, token: token))
            return .reregistered(.owner(token))
        case .peer:
            let token: BufferToken = self.newToken()
            self.adopted.setPeer(id, .init(caller: caller, address: registration.address, token: token))
            return .reregistered(.peer(token))
        }
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
                "\(self.adopted.count) SMBs of earlier hypervisors are kept, as many as there may be; close connections.")
        }
        let (used, limit) = (self.pool.usedByteCount(vlan), self.limit(vlan))
        guard registration.fileByteCount <= limit - used else {
            throw Refused(
                .poolExhausted,
                "VLAN \(vlan) uses \(used) of the \(limit) bytes that it may use, so an SMB of "
                    + "\(registration.fileByteCount) cannot be re-registered.")
        }
    }

    // MARK: Endings

    /// Whether the token was of an SMB that was re-registered; then it is given back.
    mutating func destroyAdopted(_ caller: CallerID, _ token: OwnerToken) -> Bool {
        guard let id = self.adopted.find(token, of: caller) else { return false }
        self.adopted.endOwner(id)
        self.dropIfUnheld(id)
        return true
    }

    /// As ``destroyAdopted(_:_:)``, for the peer.
    mutating func unbindAdopted(_ caller: CallerID, _ token: BufferToken) -> Bool {
        guard let id = self.adopted.find(token, of: caller) else { return false }
        self.adopted.endPeer(id)
        self.dropIfUnheld(id)
        return true
    }

    /// The owner takes the binding back; the peer holds the memory until it lets go.
    mutating func withdrawAdopted(_ caller: CallerID, _ token: OwnerToken) throws(Refused) -> Bool {
        guard let id = self.adopted.find(token, of: caller), let buffer = self.adopted.buffers[id] else { return false }
        guard buffer.state == .accepted else { throw Refused(.notBound) }
        self.adopted.withdraw(id)
        return true
    }

    /// A session ended: what it had re-registered is held by its other holder alone, or gone.
    mutating func closeAdopted(_ caller: CallerID) {
        let held = self.adopted.buffers.filter { $0.value.owner?.caller == caller || $0.value.peer?.caller == caller }
        for (id, buffer) in held.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            if buffer.owner?.caller == caller { self.adopted.endOwner(id) }
            if buffer.peer?.caller == caller { self.adopted.endPeer(id) }
            self.dropIfUnheld(id)
        }
    }

    private mutating func dropIfUnheld(_ id: AdoptedID) {
        guard let gone = self.adopted.removeIfUnheld(id) else { return }
        self.pool.drop(byteCount: gone.fileByteCount, of: gone.vlan)
        self.effects.append(.dropAdopted(id))
    }

    /// What people see of them.
    var adoptedStatuses: [SMBStatus] {
        self.adopted.buffers.sorted { $0.key.rawValue < $1.key.rawValue }.map { _, buffer in
            SMBStatus(
                vlan: buffer.vlan, owner: buffer.owner?.address, peer: buffer.peer?.address,
                ringByteCount: buffer.ringByteCount, state: buffer.state)
        }
    }
}
