import Glibc
import SMCSystem
import Testing

struct SocketAddressTests {
    private static func parse(_ host: String, _ port: UInt16) throws -> SocketAddress {
        try #require(try SocketAddress.resolve(host: host, port: port).first)
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:7000"), ("10.77.0.255", "10.77.0.255:7000"), ("::1", "[::1]:7000"),
        ("2001:db8::42", "[2001:db8::42]:7000"), ("::ffff:10.0.0.1", "10.0.0.1:7000"), ("0.0.0.0", "0.0.0.0:7000"),
        ("::", "[::]:7000"),
    ])
    func literalsArePrintedAsTheyWereRead(host: String, printed: String) throws {
        let address = try Self.parse(host, 7000)
        #expect(address.description == printed)
        #expect(address.port == 7000)
        #expect(address.isIPv4 != address.isIPv6)
        #expect(address.isIPv6 == host.contains(":"))
    }

    @Test func addressesInIPv6sClothesAreUnmapped() throws {
        let mapped = try Self.parse("::ffff:10.1.2.3", 80)
        let plain = try Self.parse("10.1.2.3", 80)
        #expect(mapped != plain)
        #expect(mapped.unmapped == plain)
        #expect(mapped.ipBytes == [10, 1, 2, 3] && plain.ipBytes == [10, 1, 2, 3])
        #expect(plain.unmapped == plain)
        let real = try Self.parse("2001:db8::1", 80)
        #expect(real.unmapped == real)
        #expect(real.ipBytes.count == 16 && real.ipBytes.first == 0x20)
    }

    @Test func portsAreExchanged() throws {
        for host in ["127.0.0.1", "::1"] {
            let address = try Self.parse(host, 1)
            for port in [0, 1, 255, 256, 7000, 65_535] as [UInt16] {
                let other = address.with(port: port)
                #expect(other.port == port)
                #expect(other.with(port: 1) == address)
            }
        }
    }

    /// What a kernel call or a peer gave may be anything.
    @Test func bytesOfAnyKindAreHandled() {
        for bytes in [[], [2], [2, 0, 0, 80], [10, 0] + [UInt8](repeating: 0, count: 20), [1, 0, 47, 0]] as [[UInt8]] {
            let address = SocketAddress(bytes: bytes)
            #expect(!address.isIPv4 && !address.isIPv6)
            #expect(address.port == 0)
            #expect(address.ipBytes.isEmpty)
            #expect(address.unmapped == address && address.with(port: 5) == address)
            #expect(address.description == "unknown address")
        }
    }

    @Test func everyLocalAddress() throws {
        let any = try SocketAddress.resolve(host: nil, port: 99, passive: true)
        #expect(!any.isEmpty)
        #expect(any.allSatisfy { $0.port == 99 && $0.ipBytes.allSatisfy { $0 == 0 } })
    }

    @Test func aHostThatIsNotThereIsNamed() {
        do {
            _ = try SocketAddress.resolve(host: "no such host", port: 1)
            Issue.record("it was found")
        } catch {
            #expect(error.host == "no such host")
            #expect("\(error)".contains("cannot resolve host 'no such host'"))
        }
    }
}
