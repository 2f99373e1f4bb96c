import SMCProtocol
import SMCWire
import Testing

@Suite struct LinkStateAnnouncementTests {
    private func makeLink() -> LinkState {
        LinkState(
            role: .server,
            identity: LinkState.Identity(
                macAddress: .zero, gid: GID(rawValue: 1), queuePairNumber: 17, linkUserID: 1, maxLinks: 1,
                maxConnections: 16))
    }

    private func answer(to rkey: UInt32) -> LLCMessage {
        var answer = ConfirmRKey(rkey: rkey, address: 4096)
        answer.isResponse = true
        return .confirmRKey(answer)
    }

    /// A peer that does not answer must not be able to end our process at the next announcement.
    @Test func anUnansweredAnnouncementIsFollowedByAnother() {
        var link = self.makeLink()
        _ = link.announce(rkey: 1, address: 4096)
        link.announcementAbandoned()
        _ = link.announce(rkey: 2, address: 8192)
        #expect(link.received(self.answer(to: 1)) == .ignore)
        #expect(link.received(self.answer(to: 2)) == .announced(rkey: 2, isAccepted: true))
    }
}
