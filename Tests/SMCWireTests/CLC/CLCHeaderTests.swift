import SMCWire
import Testing

struct CLCHeaderTests {
    static let golden: [UInt8] = [0xe2, 0xd4, 0xc3, 0xd9, 2, 0, 160, 0x28]

    @Test func fields() throws {
        let expected = CLCHeader(eyeCatcher: .smcr, type: .accept, length: 160, version: .two, lowNibble: 8)
        #expect(try CLCHeader(decoding: Self.golden) == expected)
    }

    @Test(arguments: [0, 1, 7, 9]) func otherCountsAreRefused(count: Int) {
        let bytes = Array((Self.golden + [0]).prefix(count))
        #expect(throws: WireError.self) { try CLCHeader(decoding: bytes) }
    }

    @Test func eachFieldIsChecked() {
        func error(_ offset: Int, _ value: UInt8) -> WireError? {
            var bytes = Self.golden
            bytes[offset] = value
            do throws(WireError) {
                _ = try CLCHeader(decoding: bytes)
                return nil
            } catch {
                return error
            }
        }
        #expect(error(3, 0xd8) == .badEyeCatcher(0xe2d4_c3d8))
        #expect(error(3, 0xc4) == nil)
        #expect(error(4, 0) == .unknownType(0))
        #expect(error(4, 5) == .unknownType(5))
        #expect(error(6, 47) == .wrongLength(47, expected: 48))
        #expect(error(6, 48) == nil)
        #expect(error(5, 0xff) == .wrongLength(0xffa0, expected: 4244))
        #expect(error(7, 0x08) == .unknownVersion(0))
        #expect(error(7, 0x38) == .unknownVersion(3))
    }

    @Test func longestMessageIsAllowed() throws {
        guard case .confirm(var confirm) = try CLCMessage(decoding: GoldenFrames.linux612[2].bytes) else {
            Issue.record("no Confirm")
            return
        }
        confirm.gids = Array(repeating: .zero, count: 255)
        #expect(confirm.encoded().count == CLCHeader.maximumLength)
        #expect(try CLCMessage(decoding: confirm.encoded()) == .confirm(confirm))
    }

    @Test func prefixIsJudgedAsFarAsItReaches() {
        let smcd: [UInt8] = [0xe2, 0xd4, 0xc3, 0xc4]
        #expect(CLCHeader.looksLikeCLC([]))
        for count in 1...8 { #expect(CLCHeader.looksLikeCLC(Array(Self.golden.prefix(count)))) }
        for count in 1...4 { #expect(CLCHeader.looksLikeCLC(Array(smcd.prefix(count)))) }
        #expect(!CLCHeader.looksLikeCLC([0x47]))
        #expect(!CLCHeader.looksLikeCLC([0xe2, 0xd4, 0x20]))
        #expect(!CLCHeader.looksLikeCLC([0xe2, 0xd4, 0xc3, 0xc5, 1]))
    }
}
