/// What two hosts tell each other in version 2 when they start a new link group (PROTOCOL 2.6).
package struct FirstContactExtension: Hashable, Sendable {
    /// SMC-R: no IP gateway lies between the peers. SMC-D: false.
    package var isV2Direct: Bool
    package var operatingSystem: OperatingSystem
    /// The negotiated release of version 2, four bits.
    package var release: UInt8
    package var hostName: HostName
    /// SMC-R, release 1 and later: the negotiated connections per link group, else 0.
    package var maxConnections: UInt8
    /// SMC-R, release 1 and later: the negotiated links per link group, else 0.
    package var maxLinks: UInt8
    package var featureMask: FeatureMask
    /// Four bytes a vendor may use.
    package var vendorOptions: UInt32
    /// The last eight bytes, kept as they came.
    package var reserved: UInt64

    package init(
        isV2Direct: Bool, operatingSystem: OperatingSystem = .linux, release: UInt8, hostName: HostName,
        maxConnections: UInt8 = 0, maxLinks: UInt8 = 0, featureMask: FeatureMask = [], vendorOptions: UInt32 = 0
    ) {
        self.isV2Direct = isV2Direct
        self.operatingSystem = operatingSystem
        self.release = release
        self.hostName = hostName
        self.maxConnections = maxConnections
        self.maxLinks = maxLinks
        self.featureMask = featureMask
        self.vendorOptions = vendorOptions
        self.reserved = 0
    }

    /// SMC-D leaves the fields after the host name out in release 0.
    enum Carrier { case rdma, dmb }

    private static func isShort(_ carrier: Carrier, release: UInt8) -> Bool { carrier == .dmb && release == 0 }

    init(_ carrier: Carrier, reading reader: inout WireReader) throws(WireError) {
        self.isV2Direct = try reader.uint8() & 0x80 != 0
        let system = try reader.uint8()
        self.operatingSystem = OperatingSystem(rawValue: system >> 4)
        self.release = system & 0x0f
        try reader.skip(2)
        self.hostName = try HostName(reading: &reader)
        self.maxConnections = 0
        self.maxLinks = 0
        self.featureMask = []
        self.vendorOptions = 0
        self.reserved = 0
        if Self.isShort(carrier, release: self.release) { return }
        self.maxConnections = try reader.uint8()
        self.maxLinks = try reader.uint8()
        self.featureMask = FeatureMask(rawValue: try reader.uint16())
        self.vendorOptions = try reader.uint32()
        self.reserved = try reader.uint64()
    }

    func write(_ carrier: Carrier, to writer: inout WireWriter) {
        precondition(self.release < 16, "the release has four bits")
        writer.uint8(self.isV2Direct ? 0x80 : 0)
        writer.uint8(self.operatingSystem.rawValue << 4 | self.release)
        writer.zeros(2)
        writer.bytes(self.hostName.bytes)
        if Self.isShort(carrier, release: self.release) { return }
        writer.uint8(self.maxConnections)
        writer.uint8(self.maxLinks)
        writer.uint16(self.featureMask.rawValue)
        writer.uint32(self.vendorOptions)
        writer.uint64(self.reserved)
    }
}
