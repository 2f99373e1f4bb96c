package import SMCWire

/// The hypervisor's books and all its decisions (seed A8, A16, A24-A30): no I/O, no clock, no memory.
///
/// It knows sessions, the partitions that they became, SMBs, pairs and blocks by number. What must be done to real
/// memory and descriptors it says as ``Effect``s. Held against its invariants by `HypervisorModelTests`.
package struct Hypervisor {
    /// What an administrator decides (seed A8, A41, A62).
    package struct Configuration: Sendable {
        /// A VLAN and the bytes of the pool that it may use; nil is all of them.
        package struct VLAN: Hashable, Sendable {
            package var id: VLANID
            package var limitByteCount: Int?

            package init(_ id: VLANID, limitByteCount: Int? = nil) {
                self.id = id
                self.limitByteCount = limitByteCount
            }
        }

        /// The first is the one of partitions that ask for none.
        package var vlans: [VLAN]
        /// At least one; VLANs without a pool of their own take from all, in this order.
        package var pools: [PoolLayout]
        package var processID: Int32 = 0
        package var partitionsMaximum = 1024
        /// Bits of one status bit array.
        package var bitsPerDirection: Int
        package var reportsPerPartitionMaximum = 4096

        package init(vlans: [VLAN], pools: [PoolLayout], bitsPerDirection: Int) {
            self.vlans = vlans
            self.pools = pools
            self.bitsPerDirection = bitsPerDirection
        }
    }

    /// A session, and the partition that it became by joining.
    struct Session {
        let identity: CallerIdentity
        var name = ""
        /// Empty until it joined.
        var addresses: [Membership.Address] = []
        /// SMBs that it owns, and SMBs of which it is the peer.
        var owned: Set<SMBID> = []
        var bound: Set<SMBID> = []
        var reports: [UInt64: ConnectionReport] = [:]

        var isPartition: Bool { !self.addresses.isEmpty }
    }

    let configuration: Configuration
    package let cec: CECID
    private var random: any RandomNumberGenerator
    var sessions: [CallerID: Session] = [:]
    var partitionCount = 0
    /// Where each address leads. An address is on one VLAN only, so this is what keeps VLANs apart (A15).
    var addresses: [SMGID: (caller: CallerID, vlan: VLANID)] = [:]
    var pool: PoolBooks
    var smbs: [SMBID: SharedMemoryBuffer] = [:]
    var smbsByOwner: [OwnerToken: SMBID] = [:]
    var smbsByBuffer: [BufferToken: SMBID] = [:]
    var smbsByOffer: [OfferToken: SMBID] = [:]
    var pairs: [PairID: Pair] = [:]
    var pairsByKey: [Pair.Key: PairID] = [:]
    private var lastNumber: UInt64 = 0
    /// What the instruction that is being performed has asked for so far.
    var effects: [Effect] = []

    /// - Parameter random: must be unpredictable wherever partitions do not trust each other.
    package init(_ configuration: Configuration, random: some RandomNumberGenerator) {
        var random = random
        self.configuration = configuration
        self.pool = PoolBooks(configuration.pools)
        self.cec = CECID(high: random.next(), low: random.next())
        self.random = random
    }

    /// How many partitions there are now.
    package var joinedCount: Int {
        self.partitionCount
    }

    /// Performs one instruction: all of it, or, when it is refused, nothing.
    package mutating func perform(_ instruction: Instruction, by caller: CallerID) -> Outcome {
        self.effects.removeAll()
        do throws(Refused) {
            let response = try self.response(to: instruction, by: caller)
            return Outcome(response: response, effects: self.effects)
        } catch {
            return Outcome(response: .refused(error.code, error.text), effects: [])
        }
    }

    private mutating func response(
        to instruction: Instruction, by caller: CallerID
    ) throws(Refused) -> ControlResponse {
        switch instruction {
        case .open(let identity):
            precondition(self.sessions[caller] == nil, "a caller's number is used twice")
            self.sessions[caller] = Session(identity: identity)
            return .done
        case .close:
            self.close(caller)
            return .done
        case .request(let request):
            guard let session = self.sessions[caller] else { throw Refused(.notJoined) }
            return try self.response(to: request, by: caller, session)
        }
    }

    private mutating func response(
        to request: ControlRequest, by caller: CallerID, _ session: Session
    ) throws(Refused) -> ControlResponse {
        switch request {
        case .hello: return .welcome
        case .join(let name, let vlans): return try self.join(caller, name, vlans)
        case .status(let firstItem): return .status(StatusPage(of: self.status, firstItem: firstItem))
        default: break
        }
        guard session.isPartition else { throw Refused(.notJoined) }
        switch request {
        case .hello, .join, .status: return .done  // Answered above.
        case .queryCommonCEC(let address): return .commonCEC(self.commonCEC(session, address))
        case .createSMB(let byteCount, let address): return try self.create(caller, byteCount, address)
        case .bind(let token, let address): return try self.bind(caller, token, address)
        case .accept(let offer, let owner): return try self.accept(caller, offer, owner)
        case .reject(let offer, let owner): try self.reject(caller, offer, owner)
        case .unbindBuffer(let token): try self.unbind(caller, token)
        case .unbindOwner(let token): try self.unbind(caller, token)
        case .destroy(let token): try self.destroy(caller, token)
        case .report(let report): try self.report(caller, report)
        case .reportClosed(let identifier): self.sessions[caller]?.reports[identifier] = nil
        }
        return .done
    }

    /// The block that was to be reclaimed is in nobody's hands and holds zeros: it may be used again.
    package mutating func reclaimed(_ block: BlockID) {
        self.pool.reclaimed(block)
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
            if offer.rawValue != 0, self.smbsByOffer[offer] == nil { return offer }
        }
    }

    mutating func newAddress() -> SMGID {
        while true {
            let address = SMGID(gid: self.random.next(), extendedGID: self.random.next())
            if address.gid != 0, self.addresses[address] == nil { return address }
        }
    }
}
