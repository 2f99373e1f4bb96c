import SMCVerbs
import Testing

@Suite struct GIDTests {
    @Test func bytesGoThereAndBack() throws {
        let bytes: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 77, 0, 2]
        let gid = try #require(GID(bytes: bytes))
        #expect(gid.bytes == bytes)
        #expect(gid.isIPv4Mapped)
        #expect(gid.description == "0000:0000:0000:0000:0000:ffff:0a4d:0002")
        #expect(gid.hardwareAddress == nil)
        #expect(GID(bytes: Array(bytes.dropLast())) == nil)
    }

    @Test func linkLocalTellsTheHardwareAddress() throws {
        let bytes: [UInt8] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xFF, 0xFE, 0x77, 0, 2]
        let gid = try #require(GID(bytes: bytes))
        #expect(gid.hardwareAddress == [0x52, 0x54, 0, 0x77, 0, 2])
        #expect(!gid.isIPv4Mapped)
    }
}
