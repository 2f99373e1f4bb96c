internal import SMCControl
internal import SMCSystem
internal import SMCWire

/// A VLAN as an administrator sets it up.
public struct VLANSettings: Hashable, Sendable {
    /// Who may have an address on a VLAN.
    public enum Access: Hashable, Sendable {
        /// Whoever may use the hypervisor.
        case open
        /// Partitions that an administrator has authorised by name.
        case authorised
    }

    /// 1 to 32 letters, digits, `.`, `-`, `_`.
    public var name: String
    /// The pool that its memory comes from.
    public var pool = "default"
    /// Bytes of the pool that it may use; nil: as many as there are.
    public var sliceByteCount: Int?
    /// Bytes that one partition may use on it; nil: the whole slice.
    public var partitionLimitByteCount: Int?
    /// Who may have an address on it.
    public var access = Access.open
    /// Whether the shared memory function is enabled on it.
    public var isEnabled = true

    /// An open VLAN without limits.
    public init(name: String) {
        self.name = name
    }
}

/// An administrator's session with a hypervisor: VLANs, partitions, rights and the size of memory.
///
/// Every call takes a role that the hypervisor's configuration gives to users and groups; its own user and root have
/// all. Without it the call throws ``SMCError`` with `refused`, and the message names the role. All methods may be
/// called from any task; they take turns.
public final class Administration: Sendable {
    private let session: HypervisorSession
    private let worker = Worker(name: "smc-admin")

    private init(_ session: HypervisorSession) {
        self.session = session
    }

    /// Opens a session with the hypervisor that is found; none is started.
    ///
    /// - Throws: ``SMCError`` with `noHypervisor`.
    public static func open(
        _ hypervisor: Configuration.Hypervisor = .automatic
    ) async throws(SMCError) -> Administration {
        let locator: HypervisorLocator
        switch hypervisor {
        case .automatic:
            var automatic = HypervisorLocator.Automatic()
            automatic.startsHypervisor = false
            locator = .automatic(automatic)
        case .socket(let path): locator = .socket(path)
        case .none: locator = .none
        }
        let worker = Worker(name: "smc-admin")
        let session = try await onWorker(worker) { () throws(ControlError) in try locator.connect() }
        return Administration(session)
    }

    private func administer(_ request: AdministrativeRequest) async throws(SMCError) {
        try await onWorker(self.worker) { () throws(ControlError) in try self.session.administer(request) }
    }

    // MARK: VLANs

    /// Creates a VLAN. Role: `configure` on it.
    public func createVLAN(_ settings: VLANSettings) async throws(SMCError) {
        try await self.administer(.createVLAN(try settings.definition))
    }

    /// Changes a VLAN's access, limits and function; whoever is on it stays on it. Roles: `configure`, and `quota` when
    /// a limit changes.
    public func changeVLAN(_ settings: VLANSettings) async throws(SMCError) {
        try await self.administer(.changeVLAN(try settings.definition))
    }

    /// Destroys a VLAN. Role: `configure` on it.
    ///
    /// - Parameter force: also when partitions have addresses on it: they lose them, with all SMBs there.
    public func destroyVLAN(_ name: String, force: Bool = false) async throws(SMCError) {
        try await self.administer(.destroyVLAN(try vlanID(name), isForced: force))
    }

    /// Enables or disables the shared memory function. Role: `configure`. While it is disabled nothing new is set up;
    /// what is bound stays bound.
    ///
    /// - Parameter vlan: nil: of the whole machine.
    public func setFunction(enabled: Bool, vlan: String? = nil) async throws(SMCError) {
        try await self.administer(
            .setFunction(isEnabled: enabled, try vlan.map { name throws(SMCError) in try vlanID(name) }))
    }

    /// Says how many bytes of its pool a VLAN may use; nil: as many as there are. Role: `quota` on it. Less than is in
    /// use takes nothing away; it only gives nothing new.
    public func setSlice(vlan: String, byteCount: Int?) async throws(SMCError) {
        try await self.administer(.setSlice(try vlanID(vlan), byteCount: byteCount))
    }

    // MARK: Partitions

    /// Reserves a name for some users and groups. Role: `configure` for all VLANs.
    public func createPartition(_ name: String, users: [UInt32], groups: [UInt32] = []) async throws(SMCError) {
        try await self.administer(.createPartition(try Self.definition(name, users, groups)))
    }

    /// Changes who may use a name; sessions that use it go on. Role: `configure` for all VLANs.
    public func changePartition(_ name: String, users: [UInt32], groups: [UInt32] = []) async throws(SMCError) {
        try await self.administer(.changePartition(try Self.definition(name, users, groups)))
    }

    /// Frees a name. Role: `configure` for all VLANs.
    ///
    /// - Parameter force: also when sessions use it: they lose all addresses.
    public func destroyPartition(_ name: String, force: Bool = false) async throws(SMCError) {
        try await self.administer(.destroyPartition(try Self.name(name), isForced: force))
    }

    /// Lets a partition onto a VLAN, or changes its limit there. Role: `authorise` on the VLAN.
    public func authorise(partition: String, vlan: String, limitByteCount: Int? = nil) async throws(SMCError) {
        let authorisation = Authorisation(
            partition: try Self.name(partition), vlan: try vlanID(vlan), limitByteCount: limitByteCount)
        try await self.administer(.authorise(authorisation))
    }

    /// Takes a partition off a VLAN: its addresses there end, and with them SMBs, bindings and tokens; whoever shared
    /// memory with it is told. Role: `authorise` on the VLAN.
    public func revoke(partition: String, vlan: String) async throws(SMCError) {
        try await self.administer(.revoke(partition: try Self.name(partition), try vlanID(vlan)))
    }

    private static func name(_ name: String) throws(SMCError) -> String {
        guard !name.isEmpty, name.utf8.count <= ControlLimits.nameByteCount, ControlText.isClean(name) else {
            throw SMCError(
                .invalidConfiguration,
                "'\(name)' is no partition name: 1 to \(ControlLimits.nameByteCount) bytes without control characters")
        }
        return name
    }

    private static func definition(
        _ name: String, _ users: [UInt32], _ groups: [UInt32]
    ) throws(SMCError) -> PartitionDefinition {
        guard max(users.count, groups.count) <= ControlLimits.usersPerPartition else {
            throw SMCError(
                .invalidConfiguration,
                "at most \(ControlLimits.usersPerPartition) users and as many groups; use a group")
        }
        return PartitionDefinition(name: try Self.name(name), userIDs: users, groupIDs: groups)
    }

    // MARK: The hypervisor

    /// Adds memory to a pool; returns when it is there. Role: `quota` for all VLANs.
    ///
    /// - Returns: by how many bytes it has grown: whole blocks, at most what was asked for.
    @discardableResult
    public func growPool(_ name: String = "default", byteCount: Int) async throws(SMCError) -> Int {
        let pool = try poolID(name)
        return try await onWorker(self.worker) { () throws(ControlError) in
            try self.session.growPool(pool, byteCount: byteCount)
        }
    }

    /// Takes free memory out of a pool. Role: `quota` for all VLANs.
    ///
    /// - Returns: how many bytes it could take: at most what was asked for, and nothing that anybody has.
    @discardableResult
    public func shrinkPool(_ name: String = "default", byteCount: Int) async throws(SMCError) -> Int {
        let pool = try poolID(name)
        return try await onWorker(self.worker) { () throws(ControlError) in
            try self.session.shrinkPool(pool, byteCount: byteCount)
        }
    }

    /// Has the hypervisor read its configuration file again. Role: `configure` for all VLANs.
    public func reload() async throws(SMCError) {
        try await self.administer(.reload)
    }
}

extension VLANSettings {
    fileprivate var definition: VLANDefinition {
        get throws(SMCError) {
            VLANDefinition(
                try vlanID(self.name), pool: try poolID(self.pool), sliceByteCount: self.sliceByteCount,
                partitionLimitByteCount: self.partitionLimitByteCount,
                access: self.access == .open ? .open : .authorised, isEnabled: self.isEnabled)
        }
    }
}
