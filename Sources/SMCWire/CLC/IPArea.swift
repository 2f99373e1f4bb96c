/// The client's IP network in a Proposal, for version 1 modes (PROTOCOL 2.3).
package struct IPArea: Hashable, Sendable {
    /// The address and mask of the outgoing interface, first byte highest.
    package var ipv4Subnet: UInt32
    package var ipv4PrefixLength: UInt8
    /// The interface's IPv6 prefixes, at most ``prefixCountMax``, link-local ones left out.
    package var ipv6Prefixes: [IPv6Prefix]

    package static let prefixCountMax = 8

    package init(ipv4Subnet: UInt32, ipv4PrefixLength: UInt8, ipv6Prefixes: [IPv6Prefix] = []) {
        self.ipv4Subnet = ipv4Subnet
        self.ipv4PrefixLength = ipv4PrefixLength
        self.ipv6Prefixes = ipv6Prefixes
    }

    package struct IPv6Prefix: Hashable, Sendable {
        /// The sixteen bytes, first byte highest.
        package var prefix: UInt128
        package var length: UInt8

        package init(prefix: UInt128, length: UInt8) {
            self.prefix = prefix
            self.length = length
        }
    }

    var byteCount: Int { 8 + 17 * self.ipv6Prefixes.count }

    init(reading reader: inout WireReader) throws(WireError) {
        self.ipv4Subnet = try reader.uint32()
        self.ipv4PrefixLength = try reader.uint8()
        try reader.skip(2)
        let count = try reader.uint8()
        guard count <= Self.prefixCountMax else { throw .badValue(field: "IPv6 prefix count", value: UInt64(count)) }
        self.ipv6Prefixes = []
        for _ in 0..<count {
            self.ipv6Prefixes.append(IPv6Prefix(prefix: try reader.uint128(), length: try reader.uint8()))
        }
    }

    func write(to writer: inout WireWriter) {
        precondition(self.ipv6Prefixes.count <= Self.prefixCountMax, "too many IPv6 prefixes")
        writer.uint32(self.ipv4Subnet)
        writer.uint8(self.ipv4PrefixLength)
        writer.zeros(2)
        writer.uint8(UInt8(self.ipv6Prefixes.count))
        for prefix in self.ipv6Prefixes {
            writer.uint128(prefix.prefix)
            writer.uint8(prefix.length)
        }
    }
}
