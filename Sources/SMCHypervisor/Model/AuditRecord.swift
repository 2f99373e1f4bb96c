package import SMCWire

/// One line of the audit log as a value: who did what to which object, and whether it was granted. It never holds a
/// token.
package struct AuditRecord: Hashable, Sendable {
    package enum Action: String, Hashable, Sendable, CaseIterable {
        case hello, join, establish, addresses, withdraw, query, create, bind, accept, reject, unbind, renew, destroy
        case bindings, read, write, compareAndMove, signal, takeStatusBits, report, reportClosed, status
        case createVLAN, changeVLAN, destroyVLAN, setFunction, setSlice
        case createPartition, changePartition, destroyPartition, authorise, revoke
        case growPool, shrinkPool, reload
        /// A session ended: its process closed it, or died.
        case end
    }

    package var action: Action
    package var caller: CallerID
    package var identity: CallerIdentity
    /// The name under which the caller joined; empty before.
    package var partition: String
    package var object = Object()
    /// Nil when it was granted.
    package var refusal: HypervisorRefusal?
    /// The sentence of a refusal; else empty.
    package var text = ""
    /// This followed from what somebody did to another object, for instance the end of a binding from a revocation.
    package var isConsequence = false

    /// What an instruction was about, as far as it names it and the hypervisor knows it.
    package struct Object: Hashable, Sendable {
        package var vlan: VLANID?
        package var address: SMGID?
        package var peer: SMGID?
        /// The number of an SMB, as `smc status` shows it.
        package var smb: UInt64?
        /// The name of the partition that was defined, authorised or revoked.
        package var partition: String?
        package var pool: PoolID?
        package var byteCount: Int?
        package var isEnabled: Bool?
    }
}

extension AuditRecord.Action {
    /// Whether the audit log keeps it when it is granted: what gives or takes a right.
    package var isKept: Bool {
        switch self {
        case .hello, .addresses, .query, .bindings, .read, .write, .compareAndMove, .signal, .takeStatusBits, .report,
            .reportClosed, .status:
            false
        default: true
        }
    }
}

extension ControlRequest {
    /// What the request is, and what it names by itself; tokens name nothing before they were checked.
    var audited: (action: AuditRecord.Action, object: AuditRecord.Object) {
        var object = AuditRecord.Object()
        switch self {
        case .hello: return (.hello, object)
        case .join(let name, let vlans):
            object.partition = name
            object.vlan = vlans.first
            return (.join, object)
        case .establish(let vlan):
            object.vlan = vlan
            return (.establish, object)
        case .addresses: return (.addresses, object)
        case .withdraw(let address, _):
            object.address = address
            return (.withdraw, object)
        case .queryCommonCEC(let peer):
            object.peer = peer
            return (.query, object)
        case .createSMB(let byteCount, let address, _):
            object.address = address
            object.byteCount = byteCount
            return (.create, object)
        case .bind(_, let peer):
            object.peer = peer
            return (.bind, object)
        case .accept(_, let owner, _):
            object.peer = owner
            return (.accept, object)
        case .reject(_, let owner):
            object.peer = owner
            return (.reject, object)
        case .unbindBuffer: return (.unbind, object)
        case .unbindOwner(_, let peer):
            object.peer = peer
            return (.unbind, object)
        case .renew: return (.renew, object)
        case .destroy: return (.destroy, object)
        case .bindings: return (.bindings, object)
        case .read: return (.read, object)
        case .write: return (.write, object)
        case .compareAndMove: return (.compareAndMove, object)
        case .signal: return (.signal, object)
        case .takeStatusBits: return (.takeStatusBits, object)
        case .report: return (.report, object)
        case .reportClosed: return (.reportClosed, object)
        case .status: return (.status, object)
        case .administer(let request): return request.audited
        }
    }
}

extension AdministrativeRequest {
    var audited: (action: AuditRecord.Action, object: AuditRecord.Object) {
        var object = AuditRecord.Object()
        switch self {
        case .createVLAN(let definition):
            object = definition.audited
            return (.createVLAN, object)
        case .changeVLAN(let definition):
            object = definition.audited
            return (.changeVLAN, object)
        case .destroyVLAN(let vlan, _):
            object.vlan = vlan
            return (.destroyVLAN, object)
        case .setFunction(let isEnabled, let vlan):
            object.vlan = vlan
            object.isEnabled = isEnabled
            return (.setFunction, object)
        case .setSlice(let vlan, let byteCount):
            object.vlan = vlan
            object.byteCount = byteCount
            return (.setSlice, object)
        case .createPartition(let definition):
            object.partition = definition.name
            return (.createPartition, object)
        case .changePartition(let definition):
            object.partition = definition.name
            return (.changePartition, object)
        case .destroyPartition(let name, _):
            object.partition = name
            return (.destroyPartition, object)
        case .authorise(let authorisation):
            object.partition = authorisation.partition
            object.vlan = authorisation.vlan
            object.byteCount = authorisation.limitByteCount
            return (.authorise, object)
        case .revoke(let partition, let vlan):
            object.partition = partition
            object.vlan = vlan
            return (.revoke, object)
        case .growPool(let pool, let byteCount):
            object.pool = pool
            object.byteCount = byteCount
            return (.growPool, object)
        case .shrinkPool(let pool, let byteCount):
            object.pool = pool
            object.byteCount = byteCount
            return (.shrinkPool, object)
        case .reload: return (.reload, object)
        }
    }
}

extension VLANDefinition {
    fileprivate var audited: AuditRecord.Object {
        var object = AuditRecord.Object()
        object.vlan = self.id
        object.pool = self.pool
        object.byteCount = self.sliceByteCount
        object.isEnabled = self.isEnabled
        return object
    }
}
