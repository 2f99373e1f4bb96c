internal import CIBVerbs
internal import SMCSystem

/// What RDMA devices this host has.
package enum RDMADevices {
    /// Their names, such as `rxe0`; empty when there is none or the kernel has no RDMA.
    package static func names() -> [String] {
        var count: Int32 = 0
        // Nil, not an empty list, is the answer of a kernel without the RDMA modules (errno ENOSYS).
        guard let list = unsafe ibv_get_device_list(&count) else { return [] }
        // SAFETY: the list holds `count` devices; the names are copied before it is freed.
        defer { unsafe ibv_free_device_list(list) }
        return (0..<Int(count)).compactMap { index in
            guard let device = unsafe list[index], let name = unsafe ibv_get_device_name(device) else { return nil }
            return unsafe String(cString: name)
        }
    }
}
