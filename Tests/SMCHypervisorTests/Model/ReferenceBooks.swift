import SMCHypervisor
import SMCWire

/// A second set of books, simpler and slower than the model's, kept from the answers alone. It says of every
/// instruction whether it must be granted.
final class ReferenceBooks {
    final class Caller {
        let id: CallerID
        var identity: CallerIdentity
        let name: String
        var isDefined: Bool
        var addresses: [Address] = []
        /// Buffer tokens that somebody else ended.
        var ended: Set<BufferToken> = []

        init(_ id: CallerID, _ identity: CallerIdentity, _ name: String, isDefined: Bool) {
            self.id = id
            self.identity = identity
            self.name = name
            self.isDefined = isDefined
        }
    }

    final class Address {
        let smgid: SMGID
        let caller: Caller
        let vlan: VLANID

        init(_ smgid: SMGID, _ caller: Caller, _ vlan: VLANID) {
            self.smgid = smgid
            self.caller = caller
            self.vlan = vlan
        }
    }

    final class SMB {
        let owner: Address
        let token: OwnerToken
        let ringByteCount: Int
        let isMapped: Bool
        var block: BlockID
        var bindings: [Binding] = []

        init(_ owner: Address, _ record: CreatedRecord, _ block: BlockID) {
            self.owner = owner
            self.token = record.owner
            self.ringByteCount = record.ringByteCount
            self.isMapped = record.isMapped
            self.block = block
        }
    }

    final class Binding {
        let peer: Address
        let offer: OfferToken
        let ownerSignal: SignalToken
        let pair: UInt64
        let bit: Int
        var accepted: (buffer: BufferToken, signal: SignalToken, isMapped: Bool)?

        init(_ peer: Address, _ offer: OfferToken, _ signal: SignalRecord) {
            self.peer = peer
            self.offer = offer
            self.ownerSignal = signal.token
            self.pair = signal.pair
            self.bit = signal.bit
        }
    }

    struct VLAN {
        var definition: VLANDefinition
        var authorised: [String: Int?] = [:]
    }

    enum Account: Hashable {
        case name(String)
        case caller(CallerID)
    }

    /// What a block is used for; nil is free.
    struct Use {
        let vlan: VLANID
        let account: Account
        var isReclaiming = false
    }

    static let controlByteCount = 16
    static let bitsPerDirection = 3
    static let partitionsMaximum = 6
    static let fast = PoolID("fast")!
    static let names = ["p", "db", "web", "x"]
    static let vlanIDs = ["a", "b", "c", "d"].map { VLANID($0)! }
    static let configuration: Hypervisor.Configuration = {
        var configuration = Hypervisor.Configuration(
            vlans: [
                VLANDefinition(vlanIDs[0]),
                VLANDefinition(vlanIDs[1], sliceByteCount: 1500, partitionLimitByteCount: 250),
                VLANDefinition(vlanIDs[2], pool: fast, access: .authorised),
            ],
            pools: [
                .init(
                    .default,
                    PoolGeometry(
                        controlByteCount: controlByteCount,
                        classes: [.init(ringByteCount: 100, blockCount: 6), .init(ringByteCount: 1000, blockCount: 5)])),
                .init(
                    fast,
                    PoolGeometry(
                        controlByteCount: controlByteCount, classes: [.init(ringByteCount: 100, blockCount: 4)])),
            ], bitsPerDirection: bitsPerDirection)
        configuration.partitionsMaximum = partitionsMaximum
        configuration.partitions = [PartitionDefinition(name: "db", userIDs: [1], groupIDs: [20])]
        configuration.authorisations = [Authorisation(partition: "db", vlan: vlanIDs[2], limitByteCount: 240)]
        return configuration
    }()

    var isEnabled = true
    var callers: [Caller] = []
    var addresses: [SMGID: Address] = [:]
    var vlans: [VLANID: VLAN] = [:]
    var defaultVLAN: VLANID?
    var partitions: [String: PartitionDefinition] = [:]
    var smbs: [SMB] = []
    /// All blocks, in use or not; they come and go with growth and shrinking.
    var sizes: [BlockID: (pool: Int, ringByteCount: Int)] = [:]
    var lastBlock = -1
    var uses: [BlockID: Use] = [:]
    /// Peers' addresses that were ever sent a block since it was free.
    var holders: [BlockID: Set<SMGID>] = [:]
    /// Bindings of each pair, and how many signal grants each of its addresses has.
    var pairs: [UInt64: Int] = [:]
    var grants: [UInt64: [SMGID: Int]] = [:]
    /// What the step that runs must take back.
    var reclaimed: Set<BlockID> = []
    var droppedPairs: Set<UInt64> = []

    init() {
        for definition in Self.configuration.vlans { self.vlans[definition.id] = VLAN(definition: definition) }
        for definition in Self.configuration.partitions { self.partitions[definition.name] = definition }
        for item in Self.configuration.authorisations {
            self.vlans[item.vlan]?.authorised[item.partition] = .some(item.limitByteCount)
        }
        self.defaultVLAN = Self.configuration.vlans[0].id
        for (number, pool) in Self.configuration.pools.enumerated() {
            for sizeClass in pool.geometry.classes {
                for _ in 0..<sizeClass.blockCount {
                    self.lastBlock += 1
                    self.sizes[BlockID(self.lastBlock)] = (number, sizeClass.ringByteCount)
                }
            }
        }
    }

    // MARK: Memory

    func pool(_ vlan: VLANID) -> Int {
        self.vlans[vlan]?.definition.pool == Self.fast ? 1 : 0
    }

    /// The blocks of a pool that there are now.
    func blocks(_ pool: Int) -> [BlockID] {
        self.sizes.filter { $0.value.pool == pool }.keys.sorted { $0.rawValue < $1.rawValue }
    }

    func ringByteCount(_ block: BlockID) -> Int {
        self.sizes[block]?.ringByteCount ?? 0
    }

    func byteCount(_ block: BlockID) -> Int {
        self.ringByteCount(block) + Self.controlByteCount
    }

    func used(_ vlan: VLANID, _ account: Account? = nil) -> Int {
        self.uses.reduce(0) { sum, entry in
            guard entry.value.vlan == vlan, account == nil || entry.value.account == account else { return sum }
            return sum + self.byteCount(entry.key)
        }
    }

    func used(by account: Account) -> Int {
        self.uses.reduce(0) { $1.value.account == account ? $0 + self.byteCount($1.key) : $0 }
    }

    func limit(_ vlan: VLANID) -> Int {
        let pool = self.blocks(self.pool(vlan)).reduce(0) { $0 + self.byteCount($1) }
        return min(self.vlans[vlan]?.definition.sliceByteCount ?? .max, pool)
    }

    func account(_ caller: Caller) -> Account {
        caller.isDefined ? .name(caller.name) : .caller(caller.id)
    }

    /// Whether a caller may have a block of such a size now.
    func canTake(_ size: Int, isExact: Bool, _ caller: Caller, _ vlan: VLANID) -> Bool {
        let free = self.blocks(self.pool(vlan)).filter {
            let ring = self.ringByteCount($0)
            return self.uses[$0] == nil && (isExact ? ring == size : ring >= size)
        }.min { self.ringByteCount($0) < self.ringByteCount($1) }
        guard let free, let books = self.vlans[vlan] else { return false }
        let own = caller.isDefined ? (books.authorised[caller.name] ?? nil) : nil
        let ofName = (caller.isDefined ? self.partitions[caller.name]?.limitByteCount : nil) ?? .max
        let ofPartition = own ?? books.definition.partitionLimitByteCount ?? .max
        return self.used(vlan) + self.byteCount(free) <= self.limit(vlan)
            && self.used(vlan, self.account(caller)) + self.byteCount(free) <= ofPartition
            && self.used(by: self.account(caller)) + self.byteCount(free) <= ofName
    }

    /// Somebody who has no right to it any more may still have the SMB's memory.
    func isTainted(_ smb: SMB) -> Bool {
        let rightful = Set(smb.bindings.filter { $0.accepted?.isMapped == true }.map(\.peer.smgid))
        return !(self.holders[smb.block] ?? []).subtracting(rightful).isEmpty
    }

    func hasMappedPeer(_ smb: SMB) -> Bool {
        smb.bindings.contains { $0.accepted?.isMapped == true }
    }

    // MARK: Rights

    func isEnabled(_ vlan: VLANID) -> Bool {
        self.isEnabled && self.vlans[vlan]?.definition.isEnabled == true
    }

    func mayEnter(_ name: String, isDefined: Bool, _ vlan: VLANID) -> Bool {
        guard let books = self.vlans[vlan] else { return false }
        return books.definition.access == .open || (isDefined && books.authorised.keys.contains(name))
    }

    func isUser(_ identity: CallerIdentity, of definition: PartitionDefinition) -> Bool {
        definition.userIDs.contains(identity.userID)
            || !Set(definition.groupIDs).isDisjoint(with: identity.groupIDs)
    }

    // MARK: Endings

    func giveBack(_ block: BlockID) {
        self.uses[block]?.isReclaiming = true
        self.reclaimed.insert(block)
    }

    func end(_ binding: Binding, of smb: SMB) {
        smb.bindings.removeAll { $0 === binding }
        if let buffer = binding.accepted?.buffer { binding.peer.caller.ended.insert(buffer) }
        guard let count = self.pairs[binding.pair] else { return }
        self.pairs[binding.pair] = count == 1 ? nil : count - 1
        self.grants[binding.pair]?[smb.owner.smgid, default: 0] -= 1
        if binding.accepted != nil { self.grants[binding.pair]?[binding.peer.smgid, default: 0] -= 1 }
        if count == 1 {
            self.droppedPairs.insert(binding.pair)
            self.grants[binding.pair] = nil
        }
    }

    func end(_ smb: SMB) {
        for binding in smb.bindings { self.end(binding, of: smb) }
        self.smbs.removeAll { $0 === smb }
        self.giveBack(smb.block)
    }

    func end(_ address: Address) {
        self.endSharing(of: address)
        address.caller.addresses.removeAll { $0 === address }
        self.addresses[address.smgid] = nil
    }

    /// All that hangs on an address ends.
    func endSharing(of address: Address) {
        for smb in self.smbs {
            for binding in smb.bindings where binding.peer === address { self.end(binding, of: smb) }
        }
        for smb in self.smbs where smb.owner === address { self.end(smb) }
    }
}
