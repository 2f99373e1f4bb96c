import SMCWire
import Testing

struct IdentifierTests {
    @Test(arguments: ["A", "0", "SMBTEST", "A.B-C", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "AB  "])
    func userEIDsAreTaken(text: String) throws {
        let eid = try #require(EID(text))
        #expect(eid.bytes.count == 32)
        #expect(eid.text == text.prefix { $0 != " " })
        #expect(EID(bytes: eid.bytes) == eid)
    }

    @Test(arguments: ["", " ", " A", ".A", "-A", "a", "A B", "A_B", "Ä", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456"])
    func otherTextIsRefused(text: String) {
        #expect(EID(text) == nil)
    }

    @Test func bytesOfAPeerAreKept() throws {
        let bytes = [UInt8](0..<32)
        #expect(try #require(EID(bytes: bytes)).bytes == bytes)
        #expect(EID(bytes: Array(bytes.dropLast())) == nil)
        #expect(EID.zero.text == "")
    }

    @Test func hostNamesFit() {
        #expect(HostName("host").bytes.count == 32)
        #expect(HostName("hôst\n").text == "h?st?")
        #expect(HostName(String(repeating: "x", count: 40)).text.count == 32)
    }

    @Test func addresses() throws {
        let gid = GID(ipv4Address: 0x0a4d_0001)
        #expect(gid.description == "::ffff:10.77.0.1" && gid.ipv4Address == 0x0a4d_0001)
        #expect(GID(bytes: gid.bytes) == gid && GID(bytes: []) == nil)
        let linkLocal = GID(rawValue: 0xfe80_0000_0000_0000_5054_00ff_fe00_0002)
        #expect(linkLocal.ipv4Address == nil)
        #expect(linkLocal.description == "fe80:0000:0000:0000:5054:00ff:fe00:0002")
        let address = try #require(MACAddress(bytes: [0x52, 0x54, 0, 0, 0, 1]))
        #expect(address.description == "52:54:00:00:00:01" && MACAddress(bytes: address.bytes) == address)
        #expect(PeerID(instance: 0xa650, macAddress: address).description == "a650525400000001")
    }

    @Test func sizes() {
        #expect(CompressedSize(rawValue: 16) == nil)
        #expect(CompressedSize(holding: 1)?.byteCount == 16384)
        #expect(CompressedSize(holding: 16385)?.byteCount == 32768)
        #expect(CompressedSize(holding: 1 << 29)?.rawValue == 15)
        #expect(CompressedSize(holding: (1 << 29) + 1) == nil)
        #expect(PathMTU.allCases.map(\.byteCount) == [256, 512, 1024, 2048, 4096])
    }

    @Test func errorsSayWhatIsWrong() {
        #expect(
            WireError.badValue(field: "EID count", value: 9).description == "the field EID count cannot be 9 here")
        #expect(
            WireError.wrongLength(43, expected: 44).description
                == "the message is 43 bytes long where 44 are expected")
    }
}
