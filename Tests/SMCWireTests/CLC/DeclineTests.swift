import SMCWire
import Testing

struct DeclineTests {
    @Test func capturedDecline() throws {
        let decline = Decline(
            version: .one, peerID: PeerID(rawValue: 0x0001_5553_4552_5350), diagnosis: .peerDidNotIndicateSMC)
        #expect(try CLCMessage(decoding: GoldenFrames.userSpacePeer[1].bytes) == .decline(decline))
    }

    @Test func outOfSync() throws {
        let decline = Decline(
            version: .two, isOutOfSync: true, peerID: PeerID(rawValue: 0xa650_5254_0000_0002),
            diagnosis: .synchronizationError, operatingSystem: .linux)
        #expect(try CLCMessage(decoding: ConstructedFrames.declineV2.bytes) == .decline(decline))
        #expect(decline.encoded() == ConstructedFrames.declineV2.bytes)
    }

    @Test func furtherCodesSurvive() throws {
        let decline = Decline(
            version: .two, peerID: .zero, diagnosis: .noDevice,
            furtherDiagnoses: [.noUEID, DeclineDiagnosis(rawValue: 0), DeclineDiagnosis(rawValue: 0x1234_5678)])
        #expect(try CLCMessage(decoding: decline.encoded()) == .decline(decline))
    }

    @Test func diagnosesExplainThemselves() {
        #expect(DeclineDiagnosis.named.count == 36)
        #expect(Set(DeclineDiagnosis.named.map(\.diagnosis)).count == 36)
        #expect(Set(DeclineDiagnosis.named.map(\.text)).count == 36)
        #expect(
            DeclineDiagnosis.noUEID.description == "the two sides have no user EID in common (0x03030008)")
        #expect(
            DeclineDiagnosis(rawValue: 0xabcd).description == "a reason that has no name here (0x0000abcd)")
    }
}
