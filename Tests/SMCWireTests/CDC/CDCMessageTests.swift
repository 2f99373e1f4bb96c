import SMCWire
import Testing

struct CDCMessageTests {
    @Test func capturedMessages() throws {
        let data = CDCMessage(
            sequence: 1, alertToken: 1, producerCursor: WireCursor(wrap: 0, offset: 26), consumerCursor: .zero)
        #expect(try CDCMessage(decoding: GoldenFrames.linux612[7].bytes) == data)
        let close = CDCMessage(
            sequence: 2, alertToken: 1, producerCursor: WireCursor(wrap: 0, offset: 26),
            consumerCursor: WireCursor(wrap: 0, offset: 26), stateFlags: .closed)
        #expect(try LinkFrame(decoding: GoldenFrames.linux612[9].bytes) == .cdc(close))
    }

    @Test func flags() throws {
        let data = try CDCMessage(decoding: ConstructedFrames.cdcData.bytes)
        #expect(data.producerFlags == [.writeBlocked, .cursorUpdateRequested] && data.stateFlags == [])
        let failover = try CDCMessage(decoding: ConstructedFrames.cdcFailover.bytes)
        #expect(failover.producerFlags == .failoverValidation && failover.sequence == 2)
    }

    @Test func everyFieldHasItsPlace() throws {
        let message = CDCMessage(
            sequence: 0x0102, alertToken: 0x0304_0506, producerCursor: WireCursor(wrap: 0x0708, offset: 0x090a_0b0c),
            consumerCursor: WireCursor(wrap: 0x0d0e, offset: 0x0f10_1112), producerFlags: .urgentPresent,
            stateFlags: [.sendingDone, .abnormalClose])
        let frame = Frame("", "fe2c 0102 03040506 0000 0708 090a0b0c 0000 0d0e 0f101112 20 a0 00*18")
        #expect(message.encoded() == frame.bytes)
        #expect(try CDCMessage(decoding: frame.bytes) == message)
    }
}
