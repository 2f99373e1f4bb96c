internal import SMCSystem

/// The way by RDMA from this host to an address: which device and port, and under which address of its own.
package struct RDMARoute: Sendable {
    /// Keep it while the route is in use; it also reports the device's removal.
    package var device: DeviceContext
    package var port: UInt8
    /// This end's RoCE v2 address, and its place in the port's table.
    package var sourceGID: GID
    package var gidIndex: UInt8
    /// The other end's address as rdma_cm resolved it.
    package var destinationGID: GID
    /// The code of the port's path MTU, 1...5 for 256 ... 4096 bytes.
    package var activeMTU: UInt8
    /// The network card's six bytes, when the port's link-local GID tells them.
    package var hardwareAddress: [UInt8]?
    /// The network interface below, as in `if_nametoindex`; 0 when unknown.
    package var interfaceIndex: UInt32

    /// Asks rdma_cm for the way to `destination`.
    ///
    /// Blocks, at most for `timeout`. The destination may be an address of this host.
    /// - Parameters:
    ///   - source: a `sockaddr_in` or `sockaddr_in6` of this host, as in memory; its port is ignored. Nil: any.
    ///   - destination: likewise, of the peer.
    /// - Throws: `noDevice` when the host has no RDMA device, `addressNotOnDevice` when none leads there, `timedOut`.
    package static func resolve(
        from source: [UInt8]? = nil, to destination: [UInt8], timeout: Duration = Limits.resolveTimeoutDefault
    ) throws(VerbsError) -> RDMARoute {
        let sourceAddress: SocketAddressBytes?
        if let source {
            sourceAddress = try SocketAddressBytes(source, keepingPort: false)
        } else {
            sourceAddress = nil
        }
        let destinationAddress = try SocketAddressBytes(destination, keepingPort: true)
        // Before librdmacm is asked: without any device it answers with several different errno values.
        guard !RDMADevices.names().isEmpty else { throw VerbsError("rdma_resolve_addr", .noDevice) }

        let identifier = try CMIdentifier()
        try identifier.resolve(from: sourceAddress, to: destinationAddress, timeout: timeout)
        let device = try DeviceContext.shared(identifier)
        let port = identifier.port
        let gid = identifier.sourceGID
        let table = try device.gidTable().filter { $0.port == UInt32(port) }
        guard let entry = table.first(where: { $0.isRoCEv2 && $0.gid == gid }), let index = UInt8(exactly: entry.index)
        else {
            throw VerbsError("ibv_query_gid_table", .noRoutableGID(device: device.name, gid: gid))
        }
        let neighbours = table.filter { $0.interfaceIndex == entry.interfaceIndex }
        return RDMARoute(
            device: device, port: port, sourceGID: gid, gidIndex: index, destinationGID: identifier.destinationGID,
            activeMTU: try device.portAttributes(port).activeMTU,
            hardwareAddress: neighbours.lazy.compactMap(\.gid.hardwareAddress).first,
            interfaceIndex: entry.interfaceIndex)
    }
}
