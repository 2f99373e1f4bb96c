package import SMCVerbs
package import SMCWire

/// Our end of a link, in the words of CLC.
package struct LinkEnd: Hashable, Sendable {
    /// The device's name.
    package let deviceName: String
    package let port: UInt8
    package let gidIndex: UInt8
    package let gid: SMCWire.GID
    package let macAddress: MACAddress
    package let mtu: PathMTU

    package init(_ route: RDMARoute) {
        self.deviceName = route.device.name
        self.port = route.port
        self.gidIndex = route.gidIndex
        self.gid = SMCWire.GID(route.sourceGID)
        self.macAddress = route.hardwareAddress.flatMap { MACAddress(bytes: $0) } ?? .zero
        self.mtu = PathMTU(rawValue: route.activeMTU) ?? .bytes1024
    }
}
