import Testing

@testable import SMCVerbs

@Suite struct RDMARouteTests {
    private static let loopback: [UInt8] = [2, 0, 0x1F, 0x90, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)

    /// On a host without an RDMA stack libibverbs answers with nil and ENOSYS, which must be an empty list.
    @Test(.enabled(if: RDMADevices.names().isEmpty, "this host has an RDMA device; the lab's job covers it"))
    func withoutDeviceItIsRefused() {
        #expect(throws: VerbsError("rdma_resolve_addr", .noDevice)) {
            try RDMARoute.resolve(to: Self.loopback)
        }
    }

    @Test(arguments: [[], [2], [2, 0, 0, 0, 127, 0, 0], [1, 0] + [UInt8](repeating: 0, count: 26)] as [[UInt8]])
    func whatIsNoSocketAddressIsRefused(bytes: [UInt8]) throws {
        let error = try #require(throws: VerbsError.self) { try RDMARoute.resolve(to: bytes) }
        #expect(error.description.contains("neither a sockaddr_in nor a sockaddr_in6"))
    }

    @Test func sourcePortIsDropped() throws {
        #expect(try SocketAddressBytes(Self.loopback, keepingPort: true).bytes == Self.loopback)
        #expect(try SocketAddressBytes(Self.loopback, keepingPort: false).bytes[2..<4] == [0, 0])
    }

    /// A listener on `::` sees IPv4 peers as ::ffff:a.b.c.d, which rdma_cm would look for among IPv6 routes.
    @Test func mappedAddressesBecomeIPv4() throws {
        let mapped: [UInt8] =
            [10, 0, 0x1F, 0x90, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 1, 0, 0, 0, 0]
        #expect(try SocketAddressBytes(mapped, keepingPort: true).bytes == Self.loopback)
        let other = Array(mapped[..<23] + [9, 0, 0, 0, 0])
        #expect(
            try SocketAddressBytes([10, 0, 0, 0] + [UInt8](repeating: 1, count: 24), keepingPort: true).bytes.count
                == 28)
        #expect(try SocketAddressBytes(other, keepingPort: true).bytes[4..<8] == [127, 0, 0, 9])
    }
}
