/// What administrators decide (seed A8, A34, A36-A42, A58, A59). Each needs a role; see `Docs/Hypervisor.md`.
package enum AdministrativeRequest: Hashable, Sendable {
    /// A VLAN with its slice of a pool (A38, A41).
    case createVLAN(VLANDefinition)
    /// The same VLAN with another access, slice or limit; whoever is on it stays on it.
    case changeVLAN(VLANDefinition)
    /// The end of a VLAN. Forced: all addresses on it are withdrawn.
    case destroyVLAN(VLANID, isForced: Bool)
    /// Enable or disable the shared memory function: of one VLAN, or of the whole CEC (A34, A40).
    case setFunction(isEnabled: Bool, VLANID?)
    /// Allocate, resize or free a VLAN's slice of its pool (A41, A62); nil: as much as the pool has.
    case setSlice(VLANID, byteCount: Int?)
    /// Reserve a name, and say who may use it (A36, A37).
    case createPartition(PartitionDefinition)
    /// Others may use the name from now on; sessions that use it go on.
    case changePartition(PartitionDefinition)
    /// The name is free again. Forced: all addresses of its sessions are withdrawn.
    case destroyPartition(String, isForced: Bool)
    /// Let a partition onto a VLAN for authorised ones, or change its limit there (A42).
    case authorise(Authorisation)
    /// End that: its addresses on the VLAN are withdrawn, its tokens die (A42).
    case revoke(partition: String, VLANID)
    /// More memory for a pool (A35).
    case growPool(PoolID, byteCount: Int)
    /// Less memory for a pool, as far as nobody has it.
    case shrinkPool(PoolID, byteCount: Int)
    /// Read the configuration file again.
    case reload
}

/// A VLAN as an administrator describes it (seed A15, A38).
package struct VLANDefinition: Hashable, Sendable {
    /// Who may have an address on it.
    package enum Access: UInt8, Hashable, Sendable, CaseIterable {
        /// Whoever may join the hypervisor.
        case open = 1
        /// Partitions that were authorised by name.
        case authorised
    }

    package var id: VLANID
    /// Where its memory comes from.
    package var pool: PoolID
    /// Bytes of the pool that it may use, control areas included; nil: all that the pool has.
    package var sliceByteCount: Int?
    /// Bytes that one partition may use on it; nil: the whole slice.
    package var partitionLimitByteCount: Int?
    package var access: Access
    /// Whether the shared memory function is enabled on it.
    package var isEnabled: Bool

    package init(
        _ id: VLANID, pool: PoolID = .default, sliceByteCount: Int? = nil, partitionLimitByteCount: Int? = nil,
        access: Access = .open, isEnabled: Bool = true
    ) {
        self.id = id
        self.pool = pool
        self.sliceByteCount = sliceByteCount
        self.partitionLimitByteCount = partitionLimitByteCount
        self.access = access
        self.isEnabled = isEnabled
    }
}

/// The name of a partition, and who may use it (seed A9, A36).
package struct PartitionDefinition: Hashable, Sendable {
    package var name: String
    /// Users and groups of the operating system; one of them suffices.
    package var userIDs: [UInt32]
    package var groupIDs: [UInt32]
    /// Bytes that all its sessions together may use, on all VLANs and of all pools; nil: no limit of its own.
    package var limitByteCount: Int?

    package init(name: String, userIDs: [UInt32] = [], groupIDs: [UInt32] = [], limitByteCount: Int? = nil) {
        self.limitByteCount = limitByteCount
        self.name = name
        self.userIDs = userIDs
        self.groupIDs = groupIDs
    }
}

/// A partition's right to a VLAN (seed A42).
package struct Authorisation: Hashable, Sendable {
    package var partition: String
    package var vlan: VLANID
    /// Bytes of the VLAN's slice that the partition may use; nil: what the VLAN allows each partition.
    package var limitByteCount: Int?

    package init(partition: String, vlan: VLANID, limitByteCount: Int? = nil) {
        self.partition = partition
        self.vlan = vlan
        self.limitByteCount = limitByteCount
    }
}

extension AdministrativeRequest {
    enum Kind: UInt16 {
        case createVLAN = 0x100
        case changeVLAN, destroyVLAN, setFunction, setSlice, createPartition, changePartition, destroyPartition
        case authorise, revoke, growPool, shrinkPool, reload
    }

    var kind: Kind {
        switch self {
        case .createVLAN: .createVLAN
        case .changeVLAN: .changeVLAN
        case .destroyVLAN: .destroyVLAN
        case .setFunction: .setFunction
        case .setSlice: .setSlice
        case .createPartition: .createPartition
        case .changePartition: .changePartition
        case .destroyPartition: .destroyPartition
        case .authorise: .authorise
        case .revoke: .revoke
        case .growPool: .growPool
        case .shrinkPool: .shrinkPool
        case .reload: .reload
        }
    }

    func encode(into body: inout ControlWriter) {
        switch self {
        case .createVLAN(let definition), .changeVLAN(let definition): definition.encode(into: &body)
        case .destroyVLAN(let vlan, let isForced):
            body.vlan(vlan)
            body.flag(isForced)
        case .setFunction(let isEnabled, let vlan):
            body.flag(isEnabled)
            body.optional(vlan) { $0.vlan($1) }
        case .setSlice(let vlan, let byteCount):
            body.vlan(vlan)
            body.optional(byteCount) { $0.count($1) }
        case .createPartition(let definition), .changePartition(let definition): definition.encode(into: &body)
        case .destroyPartition(let name, let isForced):
            body.partitionName(name)
            body.flag(isForced)
        case .authorise(let authorisation): authorisation.encode(into: &body)
        case .revoke(let partition, let vlan):
            body.partitionName(partition)
            body.vlan(vlan)
        case .growPool(let pool, let byteCount), .shrinkPool(let pool, let byteCount):
            body.pool(pool)
            body.count(byteCount)
        case .reload: break
        }
    }

    init(decoding body: inout ControlReader, _ kind: Kind) throws(ControlWireError) {
        switch kind {
        case .createVLAN: self = .createVLAN(try VLANDefinition(decoding: &body))
        case .changeVLAN: self = .changeVLAN(try VLANDefinition(decoding: &body))
        case .destroyVLAN: self = .destroyVLAN(try body.vlan(), isForced: try body.flag("force flag"))
        case .setFunction:
            let isEnabled = try body.flag("function flag")
            self = .setFunction(
                isEnabled: isEnabled,
                try body.optional("VLAN") { (reader) throws(ControlWireError) in try reader.vlan() })
        case .setSlice: self = .setSlice(try body.vlan(), byteCount: try body.limit("slice"))
        case .createPartition: self = .createPartition(try PartitionDefinition(decoding: &body))
        case .changePartition: self = .changePartition(try PartitionDefinition(decoding: &body))
        case .destroyPartition:
            self = .destroyPartition(try body.partitionName(), isForced: try body.flag("force flag"))
        case .authorise: self = .authorise(try Authorisation(decoding: &body))
        case .revoke: self = .revoke(partition: try body.partitionName(), try body.vlan())
        case .growPool: self = .growPool(try body.pool(), byteCount: try body.count("byte count", limit: .max))
        case .shrinkPool: self = .shrinkPool(try body.pool(), byteCount: try body.count("byte count", limit: .max))
        case .reload: self = .reload
        }
    }
}

extension ControlReader {
    /// Bytes, or no limit.
    fileprivate mutating func limit(_ field: String) throws(ControlWireError) -> Int? {
        try self.optional(field) { (reader) throws(ControlWireError) in try reader.count(field, limit: .max) }
    }

    fileprivate mutating func identifiers(_ field: String) throws(ControlWireError) -> [UInt32] {
        try self.list(field, limit: ControlLimits.usersPerPartition) {
            (reader) throws(ControlWireError) in try reader.integer(UInt32.self)
        }
    }
}

extension VLANDefinition {
    func encode(into body: inout ControlWriter) {
        body.vlan(self.id)
        body.pool(self.pool)
        body.optional(self.sliceByteCount) { $0.count($1) }
        body.optional(self.partitionLimitByteCount) { $0.count($1) }
        body.integer(self.access.rawValue)
        body.flag(self.isEnabled)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.id = try body.vlan()
        self.pool = try body.pool()
        self.sliceByteCount = try body.limit("slice")
        self.partitionLimitByteCount = try body.limit("limit of a partition")
        guard let access = Access(rawValue: try body.integer(UInt8.self)) else { throw .invalidField("access") }
        self.access = access
        self.isEnabled = try body.flag("function flag")
    }
}

extension PartitionDefinition {
    func encode(into body: inout ControlWriter) {
        body.partitionName(self.name)
        body.list(self.userIDs, limit: ControlLimits.usersPerPartition) { $0.integer($1) }
        body.list(self.groupIDs, limit: ControlLimits.usersPerPartition) { $0.integer($1) }
        body.optional(self.limitByteCount) { $0.count($1) }
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.name = try body.partitionName()
        self.userIDs = try body.identifiers("list of users")
        self.groupIDs = try body.identifiers("list of groups")
        self.limitByteCount = try body.limit("limit")
    }
}

extension Authorisation {
    func encode(into body: inout ControlWriter) {
        body.partitionName(self.partition)
        body.vlan(self.vlan)
        body.optional(self.limitByteCount) { $0.count($1) }
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.partition = try body.partitionName()
        self.vlan = try body.vlan()
        self.limitByteCount = try body.limit("limit")
    }
}
