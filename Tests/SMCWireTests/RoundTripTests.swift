import SMCWire
import Testing

/// What another system sent, or would send, decodes and encodes back to the same bytes.
struct RoundTripTests {
    @Test(arguments: GoldenFrames.all) func capturedBytesComeBack(frame: Frame) throws {
        #expect(try AnyMessage(decoding: frame.bytes).encoded() == frame.bytes)
    }

    @Test(arguments: ConstructedFrames.all) func constructedBytesComeBack(frame: Frame) throws {
        #expect(try AnyMessage(decoding: frame.bytes).encoded() == frame.bytes)
    }

    @Test(arguments: (GoldenFrames.all + ConstructedFrames.all).filter(\.isCLC))
    func headerAloneTellsTheLength(frame: Frame) throws {
        let header = try CLCHeader(decoding: Array(frame.bytes.prefix(CLCHeader.byteCount)))
        #expect(header.length == frame.bytes.count)
    }

    @Test func framesAreAllThere() {
        #expect(GoldenFrames.linux612.count == 15)
        #expect(GoldenFrames.linux61.count == 15)
        #expect(GoldenFrames.userSpacePeer.count == 4)
    }

    /// Reserved bytes are sent as zero and not looked at.
    @Test func reservedBytesAreIgnored() throws {
        var bytes = ConstructedFrames.testLink.bytes
        bytes[20...43] = ArraySlice(repeating: 0xff, count: 24)
        #expect(try AnyMessage(decoding: bytes).encoded() == ConstructedFrames.testLink.bytes)
        bytes = ConstructedFrames.cdcData.bytes
        bytes[26...43] = ArraySlice(repeating: 0xff, count: 18)
        #expect(try AnyMessage(decoding: bytes).encoded() == ConstructedFrames.cdcData.bytes)
    }

    /// Either eye catcher is taken at either end.
    @Test func eyeCatchersMayDiffer() throws {
        var bytes = ConstructedFrames.declineV1.bytes
        bytes[3] = 0xc4
        #expect(try AnyMessage(decoding: bytes).encoded() == ConstructedFrames.declineV1.bytes)
        bytes = ConstructedFrames.acceptDMBV1.bytes
        bytes[bytes.count - 1] = 0xd9
        #expect(try AnyMessage(decoding: bytes).encoded() == ConstructedFrames.acceptDMBV1.bytes)
    }
}
