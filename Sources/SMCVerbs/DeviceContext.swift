internal import CIBVerbs
internal import CRDMACM
internal import SMCSystem
internal import Synchronization

/// An RDMA device in use: one object per device and process, made by resolving a route.
///
/// All objects on the device keep it alive. librdmacm opens a device once per process and never closes it by itself; when
/// the device has been removed, the last reference to this object gives up those descriptors, because
/// `rdma link delete` waits for them.
@safe
package final class DeviceContext: @unchecked Sendable {
    // SAFETY: the context stays open as long as `identifier`, an rdma_cm id on this device, lives. libibverbs
    // may be called from any thread; what changes here is atomic.
    let raw: UnsafeMutablePointer<ibv_context>
    let identifier: CMIdentifier
    let isGone = Atomic(false)

    /// The device's name, such as `rxe0`.
    package let name: String

    private struct WeakContext {
        weak var context: DeviceContext?
    }

    /// Mirrors librdmacm's own list of open devices; keyed by the address of the verbs context.
    private static let open = Mutex<[UInt: WeakContext]>([:])

    /// The device that `identifier` resolved to. Keeps the id only when it is the first on that device.
    static func shared(_ identifier: CMIdentifier) throws(VerbsError) -> DeviceContext {
        guard let raw = unsafe identifier.verbs else {
            throw VerbsError("rdma_resolve_addr", .addressNotOnDevice(errno: Errno.noSuchDevice))
        }
        let key = UInt(bitPattern: raw)
        if let known = Self.open.withLock({ $0[key]?.context }), !known.isRemoved { return known }
        let made = try unsafe DeviceContext(raw, identifier)
        return Self.open.withLock { open in
            if let known = open[key]?.context, !known.isRemoved { return known }
            open = open.filter { $0.value.context != nil }
            open[key] = WeakContext(context: made)
            return made
        }
    }

    private init(_ raw: UnsafeMutablePointer<ibv_context>, _ identifier: CMIdentifier) throws(VerbsError) {
        unsafe self.raw = raw
        self.identifier = identifier
        self.name = unsafe String(cString: ibv_get_device_name(raw.pointee.device))
        let descriptor = unsafe raw.pointee.async_fd
        try describing { () throws(SystemCallError) in try RawDescriptor.setNonBlocking(descriptor) }
    }

    deinit {
        guard self.isRemoved else { return }
        // The kernel holds the removal up until these are closed. librdmacm would close them only when it next finds
        // another device, or never. It closes -1 later, which does nothing; its domain (a few bytes) is lost.
        // SAFETY: every object on the device held this one, so nothing uses the descriptors any more; the context
        // itself is valid until `identifier` goes, after this body.
        unsafe RawDescriptor.close(self.raw.pointee.async_fd)
        unsafe RawDescriptor.close(self.raw.pointee.cmd_fd)
        unsafe self.raw.pointee.async_fd = -1
        unsafe self.raw.pointee.cmd_fd = -1
    }

    /// Whether `nextEvent` has reported the removal. Drop everything on the device then.
    package var isRemoved: Bool { self.isGone.load(ordering: .acquiring) }
}

/// What a port is and can.
package struct PortAttributes: Sendable, Hashable {
    package var isActive: Bool
    /// The code of the path MTU, 1...5 for 256 ... 4096 bytes.
    package var activeMTU: UInt8
    package var gidTableCount: Int
    /// Ethernet below, so RoCE; otherwise InfiniBand.
    package var isEthernet: Bool
}

/// How much a device has.
package struct DeviceCapabilities: Sendable, Hashable {
    package var portCount: UInt8
    package var queuePairsMax: Int
    package var workRequestsMax: Int
    package var segmentsMax: Int
    package var completionEntriesMax: Int
    package var memoryRegionsMax: Int
    package var registrationByteCountMax: UInt64
}

extension DeviceContext {
    package func portAttributes(_ port: UInt8) throws(VerbsError) -> PortAttributes {
        var attributes = ibv_port_attr()
        try check("ibv_query_port", unsafe cibverbs_query_port(self.raw, port, &attributes))
        return PortAttributes(
            isActive: attributes.state == IBV_PORT_ACTIVE, activeMTU: UInt8(attributes.active_mtu.rawValue),
            gidTableCount: Int(attributes.gid_tbl_len),
            isEthernet: Int32(attributes.link_layer) == Int32(IBV_LINK_LAYER_ETHERNET))
    }

    package func capabilities() throws(VerbsError) -> DeviceCapabilities {
        var attributes = ibv_device_attr()
        try check("ibv_query_device", unsafe ibv_query_device(self.raw, &attributes))
        return DeviceCapabilities(
            portCount: attributes.phys_port_cnt, queuePairsMax: Int(attributes.max_qp),
            workRequestsMax: Int(attributes.max_qp_wr), segmentsMax: Int(attributes.max_sge),
            completionEntriesMax: Int(attributes.max_cqe), memoryRegionsMax: Int(attributes.max_mr),
            registrationByteCountMax: attributes.max_mr_size)
    }

    /// One valid entry of the device's table of addresses.
    struct GIDEntry {
        var gid: GID
        var index: UInt32
        var port: UInt32
        var isRoCEv2: Bool
        var interfaceIndex: UInt32
    }

    /// All addresses that the device has, of all ports and types.
    func gidTable() throws(VerbsError) -> [GIDEntry] {
        var room = 0
        for port in 1...max(1, try self.capabilities().portCount) {
            room += try self.portAttributes(port).gidTableCount
        }
        room = min(max(room, 1), Limits.gidTableMax)
        var entries = [ibv_gid_entry](repeating: ibv_gid_entry(), count: room)
        // SAFETY: the array has room for `room` entries; the call says how many it filled.
        let count = unsafe ibv_query_gid_table(self.raw, &entries, room, 0)
        guard count >= 0 else { throw VerbsError("ibv_query_gid_table", .errno(Int32(clamping: -count))) }
        return entries.prefix(count).map { entry in
            GIDEntry(
                gid: GID(entry.gid), index: entry.gid_index, port: entry.port_num,
                isRoCEv2: entry.gid_type == IBV_GID_TYPE_ROCE_V2.rawValue, interfaceIndex: entry.ndev_ifindex)
        }
    }
}
