import SMCProtocol
import SMCWire
import Testing

struct ClientHandshakeTests {
    private static let both = Offers.Choice(hasSharedMemory: true, hasRDMA: true)

    private func proposed(_ choice: Offers.Choice = Self.both) throws -> (ClientHandshake, Proposal) {
        var client = ClientHandshake(offer: Offers.client(choice))
        guard case .propose(let proposal) = client.connected() else { throw Unexpected("no proposal") }
        return (client, proposal)
    }

    private static func terms(
        release: UInt8 = 1, connections: UInt8 = 255, links: UInt8 = 1
    ) -> FirstContactExtension {
        FirstContactExtension(
            isV2Direct: true, release: release, hostName: HostName("server"), maxConnections: connections,
            maxLinks: links)
    }

    private static func accept(
        _ body: CLCBody = Offers.link(Offers.serverGID, queuePair: 9), eid: EID = Offers.common,
        _ terms: FirstContactExtension? = Self.terms()
    ) -> CLCMessage {
        .accept(Accept(body: body, negotiatedEID: eid, firstContactExtension: terms))
    }

    @Test func withNothingToOfferItDeclines() {
        var client = ClientHandshake(offer: Offers.client(Offers.Choice(hasSharedMemory: false, hasRDMA: false)))
        guard case .decline(let decline) = client.connected() else {
            Issue.record("it proposed nothing")
            return
        }
        #expect(decline.diagnosis == .noSMCDDevice)
        #expect(decline.furtherDiagnoses == [.noSMCRDevice])
    }

    /// The vendor bytes and the system EID arrive as they were sent.
    @Test(arguments: Offers.Choice.all.filter { $0.hasSharedMemory || $0.hasRDMA })
    func theProposalTellsWhatThereIs(choice: Offers.Choice) throws {
        let (_, sent) = try self.proposed(choice)
        guard case .proposal(let proposal) = try Offers.travel(.proposal(sent)) else { throw Unexpected("kind") }
        #expect(proposal == sent)
        #expect(proposal.version == .two)
        #expect(proposal.modesV1 == .none)
        #expect(proposal.modesV2.includesDMB == choice.hasSharedMemory)
        #expect(proposal.modesV2.includesRDMA == choice.hasRDMA)
        #expect(proposal.vendorOUI == 0x02_534d)
        #expect(proposal.vendorOptions == 1 << 32 | 0xc11e_0001)
        #expect(proposal.peerID != .zero)
        let extra = try #require(proposal.v2Extension)
        #expect(extra.release == 1)
        #expect(extra.eids == (choice.hasRDMA ? [Offers.common] : []))
        #expect(extra.roceGID == (choice.hasRDMA ? Offers.clientGID : .zero))
        #expect(extra.isSEIDEnabled == choice.hasSharedMemory)
        #expect(extra.smcd?.seid == (choice.hasSharedMemory ? Offers.thisCEC : nil))
        #expect(
            extra.smcd?.devices
                == (choice.hasSharedMemory
                    ? [DMBDevice(gid: Offers.clientAddress, channel: HandshakeConstants.channel)] : nil))
    }

    @Test func theKernelsDeviceIsNeverOffered() {
        #expect(HandshakeConstants.channel != 0xffff)
        #expect(DMBDevice(gid: Offers.clientAddress, channel: HandshakeConstants.channel).isEmulated)
    }

    @Test(arguments: [
        (
            Self.accept(Offers.memory(Offers.serverAddress, token: 1)),
            Offers.Choice(hasSharedMemory: false, hasRDMA: true)
        ),
        (Self.accept(), Offers.Choice(hasSharedMemory: true, hasRDMA: false)),
    ])
    func whatWasNotOfferedIsDeclined(accept: CLCMessage, choice: Offers.Choice) throws {
        var (client, _) = try self.proposed(choice)
        guard case .decline(let decline) = client.received(try Offers.travel(accept)) else {
            Issue.record("it was taken")
            return
        }
        #expect(decline.diagnosis == .versionMismatch)
        #expect(client.offer.record.refusals.last?.reason.code == .versionMismatch)
    }

    @Test func memoryOnAnotherChannelIsDeclined() throws {
        var (client, _) = try self.proposed()
        let body = CLCBody.dmb(
            DMBEndpoint(
                gid: Offers.serverAddress, dmbToken: 1, elementSize: CompressedSize(holding: 16_384)!, linkID: 1,
                channel: 0xffff))
        guard case .decline = client.received(Self.accept(body)) else {
            Issue.record("it was taken")
            return
        }
    }

    @Test(arguments: [
        (Self.terms(release: 2), false), (Self.terms(release: 1, connections: 15), false),
        (Self.terms(release: 1, connections: 16), true), (Self.terms(release: 1, links: 0), false),
        (Self.terms(release: 1, links: 2), true), (Self.terms(release: 1, links: 3), false),
        (Self.terms(release: 0, connections: 0, links: 0), true), (nil, false),
    ])
    func termsOfTheFirstContactAreChecked(terms: FirstContactExtension?, isTaken: Bool) throws {
        var (client, _) = try self.proposed()
        var accept = Accept(
            body: Offers.link(Offers.serverGID, queuePair: 9), negotiatedEID: Offers.common,
            firstContactExtension: terms)
        accept.isFirstContact = true
        switch client.received(.accept(accept)) {
        case .joinLink: #expect(isTaken)
        case .decline(let decline):
            #expect(!isTaken)
            #expect(decline.diagnosis == .versionMismatch)
        case let other: Issue.record("\(other)")
        }
    }

    @Test func anEIDThatIsNotOursIsDeclined() throws {
        var (client, _) = try self.proposed()
        guard case .decline(let decline) = client.received(Self.accept(eid: Offers.lonely)) else {
            Issue.record("it was taken")
            return
        }
        #expect(decline.diagnosis == .noUEID)
    }

    /// The server knows better; the client notes why it is not memory.
    @Test func rdmaInsteadOfMemoryIsExplained() throws {
        var (client, _) = try self.proposed()
        _ = client.received(Self.accept())
        #expect(client.offer.record.refusals.map(\.reason.code) == [.differentCEC])
    }

    @Test func aReusedGroupNeedsNoTerms() throws {
        var (client, _) = try self.proposed()
        let answer = client.received(
            Self.accept(Offers.link(Offers.serverGID, queuePair: 9), eid: Offers.common, nil))
        guard case .joinLink(_, isFirstContact: false) = answer else {
            Issue.record("\(answer)")
            return
        }
        let confirm = client.confirm(with: Offers.link(Offers.clientGID, queuePair: 8))
        #expect(confirm.firstContactExtension == nil)
        #expect(confirm.gids.isEmpty)
        #expect(!confirm.isFirstContact)
    }

    @Test func messagesOfTheWrongKindFail() throws {
        let (fresh, proposal) = try self.proposed()
        let confirm = Confirm(
            body: Offers.link(Offers.serverGID, queuePair: 9), negotiatedEID: Offers.common, firstContactExtension: nil)
        for message in [CLCMessage.proposal(proposal), .confirm(confirm)] {
            var client = fresh
            guard case .fail = client.received(message) else {
                Issue.record("\(message.type) was taken")
                continue
            }
            // And from then on nothing is due.
            guard case .fail = client.received(Self.accept()) else {
                Issue.record("an Accept was taken after the failure")
                continue
            }
        }
    }

    @Test func nothingIsDueBeforeTheProposalOrAfterTheAnswer() throws {
        var early = ClientHandshake(offer: Offers.client(Self.both))
        guard case .fail = early.received(Self.accept()) else {
            Issue.record("an Accept was taken before the Proposal")
            return
        }
        var (client, _) = try self.proposed()
        _ = client.received(Self.accept())
        guard case .fail = client.received(Self.accept()) else {
            Issue.record("a second Accept was taken")
            return
        }
    }

    @Test(arguments: [true, false]) func aFailureToJoinIsTold(isOutOfSync: Bool) throws {
        var (client, _) = try self.proposed()
        _ = client.received(Self.accept())
        let decline = client.couldNotJoin(
            .rdma, FallbackReason(.registrationFailed, "no memory may be locked"), isOutOfSync: isOutOfSync)
        #expect(decline.isOutOfSync == isOutOfSync)
        #expect(decline.diagnosis == (isOutOfSync ? .synchronizationError : .bufferRegistrationFailed))
        guard case .decline(let arrived) = try Offers.travel(.decline(decline)) else { throw Unexpected("kind") }
        #expect(arrived == decline)
        guard case .fail = client.received(Self.accept()) else {
            Issue.record("an Accept was taken after giving up")
            return
        }
    }
}

struct Unexpected: Error {
    let what: String
    init(_ what: String) { self.what = what }
}
