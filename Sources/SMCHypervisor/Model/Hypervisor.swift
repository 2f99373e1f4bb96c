package import SMCWire

/// The hypervisor's books and all its decisions (seed A8, A16, A24-A42): no I/O, no clock, no memory.
///
/// It knows sessions, the partitions that they became, SMBs, pairs and blocks by number. What must be done to real
/// memory and descriptors it says as ``Effect``s. Every instruction of a connection finds what it needs by key, so none
/// takes longer because there are more partitions or SMBs. Held against its invariants by `HypervisorModelTests`.
package struct Hypervisor {
    /// What an administrator decides before the start (seed A8, A41, A62).
    package struct Configuration: Sendable {
        package typealias Pool = PoolLayout

        /// The first is the one of partitions that ask for none.
        package var vlans: [VLANDefinition]
        package var pools: [Pool]
        package var partitions: [PartitionDefinition] = []
        package var authorisations: [Authorisation] = []
        package var processID: Int32 = 0
        package var partitionsMaximum = 1024
        /// Bits of one status bit array.
        package var bitsPerDirection: Int
        package var reportsPerPartitionMaximum = 4096
        /// Of all partitions together: each may take a kilobyte.
        package var reportsMaximum = 16_384
        /// SMBs of earlier hypervisors; each takes a descriptor.
        package var adoptedMaximum = 1024

        package init(vlans: [VLANDefinition], pools: [Pool], bitsPerDirection: Int) {
            self.vlans = vlans
            self.pools = pools
            self.bitsPerDirection = bitsPerDirection
        }
    }

    private(set) var configuration: Configuration
    package let cec: CECID
    private var random: any RandomNumberGenerator
    var isFunctionEnabled = true
    var sessions: [CallerID: Session] = [:]
    var partitionCount = 0
    /// Where each address leads. An address is on one VLAN only, so this is what keeps VLANs apart (A15).
    var addresses: [SMGID: AddressBooks] = [:]
    var vlans: [VLANID: VLANBooks] = [:]
    /// The VLAN of partitions that ask for none.
    var defaultVLAN: VLANID?
    var partitions: [String: PartitionBooks] = [:]
    var pools: PoolBooks
    var smbs: [SMBID: SharedMemoryBuffer] = [:]
    var smbsByOwner: [OwnerToken: SMBID] = [:]
    var bindingsByBuffer: [BufferToken: SharedMemoryBuffer.BindingID] = [:]
    var bindingsByOffer: [OfferToken: SharedMemoryBuffer.BindingID] = [:]
    var bindingsBySignal: [SignalToken: SharedMemoryBuffer.BindingID] = [:]
    var pairs: [PairID: Pair] = [:]
    var pairsByKey: [Pair.Key: PairID] = [:]
    /// SMBs of earlier hypervisors.
    var adopted = AdoptedBooks()
    var reportCount = 0
    var statusSnapshot: StatusSnapshot?
    private var lastNumber: UInt64 = 0
    /// What the instruction that is being performed has asked for so far.
    var effects: [Effect] = []
    /// What it is about, for the audit log, and what followed from it.
    var object = AuditRecord.Object()
    var consequences: [AuditRecord] = []
    /// It gave and took nothing, so there is nothing to tell the audit log.
    var isIdle = false

    /// - Parameter random: must be unpredictable wherever partitions do not trust each other.
    /// - Precondition: names in the configuration are there once, and what is named is there.
    package init(_ configuration: Configuration, random: some RandomNumberGenerator) {
        var random = random
        self.configuration = configuration
        self.cec = CECID(high: random.next(), low: random.next())
        self.random = random
        self.pools = PoolBooks(configuration.pools)
        self.defaultVLAN = configuration.vlans.first?.id
        for definition in configuration.vlans {
            precondition(self.pools.hasPool(definition.pool), "VLAN \(definition.id) has no pool \(definition.pool)")
            self.vlans[definition.id] = VLANBooks(definition: definition)
        }
        for definition in configuration.partitions {
            self.partitions[definition.name] = PartitionBooks(definition: definition)
        }
        for authorisation in configuration.authorisations {
            self.vlans[authorisation.vlan]?.authorisations[authorisation.partition] = authorisation
        }
    }

    /// Partitions at one time; more than that many that are there already stay.
    package mutating func limitPartitions(to maximum: Int) {
        self.configuration.partitionsMaximum = maximum
    }

    /// How many partitions there are now.
    package var joinedCount: Int {
        self.partitionCount
    }

    /// Performs one instruction: all of it, or, when it is refused, nothing.
    package mutating func perform(_ instruction: Instruction, by caller: CallerID) -> Outcome {
        self.effects.removeAll()
        self.consequences.removeAll()
        self.object = AuditRecord.Object()
        self.isIdle = false
        // Before: after `close` nobody knows who it was.
        var record = self.record(of: instruction, by: caller)
        let refused: Refused
        do throws(Refused) {
            let response = try self.response(to: instruction, by: caller)
            guard var record, record.action.isKept, !self.isIdle else {
                return Outcome(response: response, effects: self.effects, records: [])
            }
            record.object = self.object
            if record.action == .join { record.partition = self.sessions[caller]?.name ?? "" }
            return Outcome(response: response, effects: self.effects, records: [record] + self.consequences)
        } catch {
            refused = error
        }
        record?.object = self.object
        record?.refusal = refused.code
        record?.text = refused.text
        return Outcome(
            response: .refused(refused.code, refused.text), effects: [], records: [record].compactMap(\.self))
    }

    private func record(of instruction: Instruction, by caller: CallerID) -> AuditRecord? {
        // What is kept of the session must not be the whole: two holders of its books would copy them.
        guard let identity = self.sessions[caller]?.identity, let name = self.sessions[caller]?.name else { return nil }
        let action: AuditRecord.Action
        switch instruction {
        case .open, .setRoles: return nil
        case .close:
            guard self.sessions[caller]?.isJoined == true else { return nil }
            action = .end
        case .request(let request), .insist(let request): action = request.audited.action
        case .reregister: action = .reregister
        }
        return AuditRecord(action: action, caller: caller, identity: identity, partition: name)
    }

    private mutating func response(
        to instruction: Instruction, by caller: CallerID
    ) throws(Refused) -> ControlResponse {
        switch instruction {
        case .open(let identity):
            precondition(self.sessions[caller] == nil, "a caller's number is used twice")
            self.sessions[caller] = Session(caller: caller, identity: identity)
            return .done
        case .setRoles(let roles):
            self.sessions[caller]?.identity.roles = roles
            return .done
        case .close:
            self.close(caller)
            return .done
        case .reregister(let registration, let identity):
            guard self.sessions[caller]?.isJoined == true else { throw Refused(.notJoined) }
            return try self.reregister(caller, registration, identity)
        case .request(let request), .insist(let request):
            self.object = request.audited.object
            guard let isJoined = self.sessions[caller]?.isJoined else { throw Refused(.notJoined) }
            switch request {
            case .hello: return .welcome
            case .join(let name, let vlans): return try self.join(caller, name, vlans)
            case .status(let firstItem): return .status(self.status(for: caller, firstItem))
            case .administer(let request):
                return try self.administer(caller, request)
            default:
                guard isJoined else { throw Refused(.notJoined) }
                if case .insist = instruction, case .unbindOwner(let token, let peer) = request {
                    return try self.insistOnUnbinding(caller, token, peer)
                }
                return try self.response(to: request, by: caller)
            }
        }
    }

    /// Instructions of partitions.
    private mutating func response(
        to request: ControlRequest, by caller: CallerID
    ) throws(Refused) -> ControlResponse {
        switch request {
        case .hello, .join, .status, .administer: preconditionFailure("answered before")
        case .establish(let vlan): return try self.establish(caller, vlan)
        case .addresses: return .addresses(self.sessions[caller]?.addresses ?? [])
        case .withdraw(let address, let isForced): try self.withdraw(caller, address, isForced)
        case .queryCommonCEC(let address): return .commonCEC(self.commonCEC(caller, address))
        case .createSMB(let byteCount, let address, let isMapped):
            return try self.create(caller, byteCount, address, isMapped)
        case .bind(let token, let address): return try self.bind(caller, token, address)
        case .accept(let offer, let owner, let isMapped): return try self.accept(caller, offer, owner, isMapped)
        case .reject(let offer, let owner): try self.reject(caller, offer, owner)
        case .unbindBuffer(let token): try self.unbind(caller, token)
        case .unbindOwner(let token, let peer): return try self.unbind(caller, token, peer)
        case .renew(let token): return try self.renew(caller, token)
        case .destroy(let token): try self.destroy(caller, token)
        case .bindings(let token): return try self.bindings(caller, token)
        case .read(let access, let offset, let byteCount):
            return try self.read(caller, access, offset, byteCount)
        case .write(let access, let offset, let bytes): try self.write(caller, access, offset, bytes)
        case .compareAndMove(let access, let offset, let expected, let desired):
            return try self.compareAndMove(caller, access, offset, expected, desired)
        case .signal(let token): try self.signal(caller, token)
        case .takeStatusBits(let pair): return try self.takeStatusBits(caller, PairID(pair))
        case .report(let report): try self.report(caller, report)
        case .reportClosed(let identifier): self.reportClosed(caller, identifier)
        // The shell looks at the descriptor first, and makes an instruction of its own of it.
        case .reregister: throw Refused(.unsuitableMemory)
        }
        return .done
    }

    /// The block that was to be reclaimed is in nobody's hands and holds zeros: it may be used again.
    package mutating func reclaimed(_ block: BlockID) {
        self.pools.reclaimed(block)
    }

    // MARK: Numbers

    mutating func newNumber() -> UInt64 {
        self.lastNumber += 1
        return self.lastNumber
    }

    mutating func newToken<Right>() -> Token<Right> {
        Token(high: self.random.next(), low: self.random.next())
    }

    mutating func newOffer() -> OfferToken {
        while true {
            let offer = OfferToken(rawValue: self.random.next())
            if offer.rawValue != 0, self.bindingsByOffer[offer] == nil { return offer }
        }
    }

    mutating func newAddress() -> SMGID {
        while true {
            let address = SMGID(gid: self.random.next(), extendedGID: self.random.next())
            if address.gid != 0, self.addresses[address] == nil { return address }
        }
    }
}
