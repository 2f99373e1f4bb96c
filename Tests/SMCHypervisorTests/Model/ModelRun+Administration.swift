import SMCHypervisor
import SMCWire

/// Steps of administrators, of those who have the role and of those who have not.
extension ModelRun {
    mutating func run(_ step: ModelStep) {
        let choices = step.choices
        switch step.kind {
        case .open: self.open(choices)
        case .close: if let caller = self.caller(choices[0]) { self.close(caller) }
        case .reclaimed: self.reclaimed(choices[0])
        case .establish: self.establish(choices)
        case .withdraw: self.withdraw(choices)
        case .query: self.query(choices)
        case .create: self.create(choices)
        case .bind: self.bind(choices)
        case .accept: self.answer(choices, accepts: true)
        case .reject: self.answer(choices, accepts: false)
        case .unbindBuffer: self.unbindBuffer(choices)
        case .unbindOwner: self.unbindOwner(choices)
        case .renew: self.renew(choices)
        case .destroy: self.destroy(choices)
        case .bindings: self.bindings(choices)
        case .read, .write, .compareAndMove: self.move(choices, step.kind)
        case .signal: self.signal(choices)
        case .takeStatusBits: self.takeStatusBits(choices)
        default: self.administer(step)
        }
    }

    private mutating func administer(_ step: ModelStep) {
        guard let caller = self.caller(step.choices[0]) else { return }
        let vlan = ReferenceBooks.vlanIDs[Int(step.choices[1]) % ReferenceBooks.vlanIDs.count]
        let name = ReferenceBooks.names[Int(step.choices[2]) % ReferenceBooks.names.count]
        let number = step.choices[3]
        switch step.kind {
        case .createVLAN: self.createVLAN(caller, vlan, number)
        case .changeVLAN: self.changeVLAN(caller, vlan, number)
        case .destroyVLAN: self.destroyVLAN(caller, vlan, isForced: number % 2 == 0)
        case .setFunction:
            // Mostly on, or nothing happens any more.
            let isEnabled = number % 16 > 1
            let target = number / 16 % 2 == 0 ? nil : vlan
            let isGranted = self.has(.configure, target, caller) && (target == nil || self.books.vlans[vlan] != nil)
            let outcome = self.administer(.setFunction(isEnabled: isEnabled, target), caller, isGranted)
            guard let outcome else { return }
            if target == nil { self.books.isEnabled = isEnabled }
            if let target { self.books.vlans[target]?.definition.isEnabled = isEnabled }
            if !isEnabled { self.endSharing(on: target) }
            self.check(outcome, of: caller.id)
        case .setSlice:
            let size = [nil, 0, 116, 250, 2000][Int(number) % 5]
            let isGranted = self.has(.quota, vlan, caller) && self.books.vlans[vlan] != nil
            guard self.administer(.setSlice(vlan, byteCount: size), caller, isGranted) != nil else { return }
            self.books.vlans[vlan]?.definition.sliceByteCount = size
        case .authorise: self.authorise(caller, name, vlan, number)
        case .revoke:
            let known = self.books.vlans.sorted { $0.key < $1.key }.flatMap { vlan in
                vlan.value.authorised.keys.sorted().map { (name: $0, vlan: vlan.key) }
            }
            let some =
                number % 4 > 0 && !known.isEmpty ? known[Int(number / 4) % known.count] : (name: name, vlan: vlan)
            self.revoke(caller, some.name, some.vlan)
        case .resizePool:
            if number % 2 == 0 { self.growPool(caller, number / 2) } else { self.shrinkPool(caller, number / 2) }
        case .reload: _ = self.administer(.reload, caller, self.has(.configure, nil, caller))
        case .setRoles:
            caller.identity.roles = number % 3 == 0 ? .none : .all
            _ = self.model.perform(.setRoles(caller.identity.roles), by: caller.id)
        default: self.definePartition(step.kind, caller, name, number)
        }
    }

    func has(_ role: Roles.Role, _ vlan: VLANID?, _ caller: ReferenceBooks.Caller) -> Bool {
        caller.identity.roles.include(role, on: vlan)
    }

    mutating func administer(
        _ request: AdministrativeRequest, _ caller: ReferenceBooks.Caller, _ isGranted: Bool
    ) -> Outcome? {
        let code: HypervisorRefusal? = caller.identity.roles == .none ? .notAuthorized : nil
        return self.perform(.administer(request), caller.id, isGranted: isGranted, code: code)
    }

    // MARK: VLANs

    private func definition(_ vlan: VLANID, _ number: UInt16) -> VLANDefinition {
        VLANDefinition(
            vlan, pool: number % 2 == 0 ? .default : ReferenceBooks.fast,
            sliceByteCount: [nil, 300, 1200][Int(number / 2) % 3],
            partitionLimitByteCount: [nil, nil, 250][Int(number / 6) % 3],
            access: number / 18 % 3 == 0 ? .authorised : .open, isEnabled: number / 54 % 16 > 0)
    }

    private mutating func createVLAN(_ caller: ReferenceBooks.Caller, _ vlan: VLANID, _ number: UInt16) {
        let definition = self.definition(vlan, number)
        let isGranted = self.has(.configure, vlan, caller) && self.books.vlans[vlan] == nil
        guard self.administer(.createVLAN(definition), caller, isGranted) != nil else { return }
        self.books.vlans[vlan] = .init(definition: definition)
        if self.books.defaultVLAN == nil { self.books.defaultVLAN = vlan }
    }

    private mutating func changeVLAN(_ caller: ReferenceBooks.Caller, _ vlan: VLANID, _ number: UInt16) {
        let definition = self.definition(vlan, number)
        let old = self.books.vlans[vlan]?.definition
        let isQuota =
            definition.sliceByteCount != old?.sliceByteCount
            || definition.partitionLimitByteCount != old?.partitionLimitByteCount
        let isGranted =
            self.has(.configure, vlan, caller) && definition.pool == old?.pool
            && (!isQuota || self.has(.quota, vlan, caller))
        guard let outcome = self.administer(.changeVLAN(definition), caller, isGranted) else { return }
        self.books.vlans[vlan]?.definition = definition
        if !definition.isEnabled { self.endSharing(on: vlan) }
        self.check(outcome, of: caller.id)
    }

    private mutating func destroyVLAN(_ caller: ReferenceBooks.Caller, _ vlan: VLANID, isForced: Bool) {
        let on = self.books.addresses.values.filter { $0.vlan == vlan }
        let isGranted =
            self.has(.configure, vlan, caller) && self.books.vlans[vlan] != nil && (isForced || on.isEmpty)
        let outcome = self.administer(.destroyVLAN(vlan, isForced: isForced), caller, isGranted)
        guard let outcome else { return }
        for address in on { self.books.end(address) }
        self.books.vlans[vlan] = nil
        if self.books.defaultVLAN == vlan { self.books.defaultVLAN = nil }
        self.check(outcome, of: caller.id)
    }

    // MARK: Partitions

    private mutating func definePartition(
        _ kind: ModelStep.Kind, _ caller: ReferenceBooks.Caller, _ name: String, _ number: UInt16
    ) {
        let users: [UInt32] = [[1], [1, 2], [], [3]][Int(number) % 4]
        let definition = PartitionDefinition(
            name: name, userIDs: users, groupIDs: number % 3 == 0 ? [20] : [],
            limitByteCount: [nil, nil, 400][Int(number / 12) % 3])
        let may = self.has(.configure, nil, caller)
        let isKnown = self.books.partitions[name] != nil
        switch kind {
        case .createPartition:
            guard self.administer(.createPartition(definition), caller, may && !isKnown) != nil else { return }
            self.books.partitions[name] = definition
        case .changePartition:
            guard self.administer(.changePartition(definition), caller, may && isKnown) != nil else { return }
            self.books.partitions[name] = definition
        default:
            let users = self.books.callers.filter { $0.isDefined && $0.name == name }
            let isForced = number % 2 == 0
            let outcome = self.administer(
                .destroyPartition(name, isForced: isForced), caller, may && isKnown && (isForced || users.isEmpty))
            guard let outcome else { return }
            for user in users {
                for address in user.addresses { self.books.end(address) }
                user.isDefined = false
            }
            self.books.partitions[name] = nil
            for vlan in self.books.vlans.keys { self.books.vlans[vlan]?.authorised.removeValue(forKey: name) }
            self.check(outcome, of: caller.id)
        }
    }

    private mutating func authorise(
        _ caller: ReferenceBooks.Caller, _ name: String, _ vlan: VLANID, _ number: UInt16
    ) {
        let limit = [nil, 120, 400][Int(number) % 3]
        let isGranted =
            self.has(.authorise, vlan, caller) && self.books.vlans[vlan] != nil && self.books.partitions[name] != nil
        let authorisation = Authorisation(partition: name, vlan: vlan, limitByteCount: limit)
        guard self.administer(.authorise(authorisation), caller, isGranted) != nil else { return }
        self.books.vlans[vlan]?.authorised[name] = .some(limit)
    }

    private mutating func revoke(_ caller: ReferenceBooks.Caller, _ name: String, _ vlan: VLANID) {
        let isAuthorised = self.books.vlans[vlan]?.authorised.keys.contains(name) == true
        let outcome = self.administer(
            .revoke(partition: name, vlan), caller, self.has(.authorise, vlan, caller) && isAuthorised)
        guard let outcome else { return }
        self.books.vlans[vlan]?.authorised.removeValue(forKey: name)
        let victims = self.books.callers.filter { $0.isDefined && $0.name == name }.flatMap(\.addresses)
        for address in victims where address.vlan == vlan { self.books.end(address) }
        self.check(outcome, of: caller.id)
    }
}
