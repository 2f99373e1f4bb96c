import SMCProtocol
import SMCWire
import Testing

struct ServerHandshakeTests {
    private static let both = Offers.Choice(hasSharedMemory: true, hasRDMA: true)

    private func proposal(_ choice: Offers.Choice = Self.both) throws -> Proposal {
        var client = ClientHandshake(offer: Offers.client(choice))
        guard case .propose(let proposal) = client.connected() else { throw Unexpected("no proposal") }
        return proposal
    }

    private func candidates(
        _ proposal: Proposal, _ choice: Offers.Choice = Self.both
    ) -> ([ServerHandshake.Candidate], ServerHandshake) {
        var server = ServerHandshake(offer: Offers.server(choice))
        guard case .select(let candidates) = server.received(first: .proposal(proposal)) else { return ([], server) }
        return (candidates, server)
    }

    private func rdmaTerms(_ change: (inout Proposal) -> Void) throws -> ServerHandshake.RDMATerms? {
        var proposal = try self.proposal()
        change(&proposal)
        for candidate in self.candidates(proposal).0 {
            if case .rdma(let terms) = candidate { return terms }
        }
        return nil
    }

    @Test func everyAddressOfThePeerIsAskedFor() throws {
        var proposal = try self.proposal()
        let second = SMGID(gid: 0x12, extendedGID: 0xc1)
        proposal.v2Extension?.smcd?.devices += [
            DMBDevice(gid: SMGID(gid: 0x13, extendedGID: 0), channel: 0xffff),
            DMBDevice(gid: second, channel: HandshakeConstants.channel),
        ]
        let (candidates, _) = self.candidates(proposal)
        #expect(candidates.first == .sharedMemory(peerAddresses: [Offers.clientAddress, second]))
    }

    @Test func otherKindsOfSharedMemoryAreNotOurs() throws {
        var proposal = try self.proposal()
        proposal.v2Extension?.smcd?.devices = [DMBDevice(gid: Offers.clientAddress, channel: 0xffff)]
        let (candidates, server) = self.candidates(proposal)
        #expect(candidates.map(\.path) == [.rdma])
        #expect(server.offer.record.refusals.map(\.reason.code) == [.peerDidNotOffer])
    }

    @Test func aSystemEIDThatIsSwitchedOffDoesNotCount() throws {
        var proposal = try self.proposal()
        proposal.v2Extension?.isSEIDEnabled = false
        #expect(self.candidates(proposal).0.map(\.path) == [.rdma])
    }

    /// The client's order of EIDs decides.
    @Test func theFirstCommonEIDOfTheClientIsTaken() throws {
        let (alpha, beta) = (try #require(EID("ALPHA")), try #require(EID("BETA")))
        var choice = Self.both
        choice.userEIDs = [beta, alpha]
        var proposal = try self.proposal()
        proposal.v2Extension?.eids = [Offers.lonely, alpha, beta]
        let (candidates, _) = self.candidates(proposal, choice)
        guard case .rdma(let terms) = candidates.last else {
            Issue.record("no RDMA")
            return
        }
        #expect(terms.eid == alpha)
    }

    /// Peer's release, connections, links, and what becomes of them; nil: nothing.
    @Test(
        arguments: [
            ([1, 255, 1], [1, 255, 1]), ([1, 255, 2], [1, 255, 1]), ([7, 32, 2], [1, 32, 1]),
            ([1, 16, 1], [1, 16, 1]),
            ([1, 15, 1], nil), ([1, 255, 0], nil), ([0, 0, 0], [0, 255, 2]), ([0, 3, 9], [0, 255, 2]),
        ] as [([UInt8], [UInt8]?)])
    func theLeastOfBothIsAgreed(offered: [UInt8], agreed: [UInt8]?) throws {
        let terms = try self.rdmaTerms { proposal in
            proposal.v2Extension?.release = offered[0]
            proposal.v2Extension?.maxConnections = offered[1]
            proposal.v2Extension?.maxLinks = offered[2]
        }
        #expect(terms.map { [$0.release, $0.maxConnections, $0.maxLinks] } == agreed)
    }

    @Test func programsOfOneHostAreToldApart() throws {
        let ours = try #require(try self.rdmaTerms { _ in })
        #expect(ours.peer.instance == 0xc11e_0001)
        #expect(ours.peer.gid == Offers.clientGID)
        let foreign = try #require(try self.rdmaTerms { $0.vendorOUI = 0x00_0102 })
        #expect(foreign.peer.instance == 0)
        #expect(ours.peer != foreign.peer)
    }

    @Test func version1IsRefusedWithAReason() throws {
        var proposal = try self.proposal()
        proposal.version = .one
        proposal.modesV1 = .rdma
        proposal.v2Extension = nil
        var (candidates, server) = self.candidates(proposal)
        #expect(candidates.isEmpty)
        #expect(server.decline().diagnosis == .versionMismatch)
        #expect(Set(server.offer.record.refusals.map(\.path)) == [.sharedMemory, .rdma])
    }

    @Test func theAcceptRepeatsWhatWasAgreed() throws {
        let (candidates, server) = self.candidates(try self.proposal())
        let memory = server.accept(
            try #require(candidates.first), body: Offers.memory(Offers.serverAddress, token: 1), isFirstContact: true)
        #expect(memory.negotiatedEID == Offers.thisCEC)
        #expect(memory.firstContactExtension?.hostName.text == "server")
        #expect(memory.firstContactExtension?.isV2Direct == false)
        let link = Offers.link(Offers.serverGID, queuePair: 1)
        let first = server.accept(try #require(candidates.last), body: link, isFirstContact: true)
        #expect(first.negotiatedEID == Offers.common)
        #expect(first.isFirstContact)
        #expect(first.firstContactExtension?.maxConnections == 255)
        #expect(first.firstContactExtension?.maxLinks == 1)
        #expect(first.firstContactExtension?.isV2Direct == true)
        let later = server.accept(try #require(candidates.last), body: link, isFirstContact: false)
        #expect(!later.isFirstContact)
        #expect(later.firstContactExtension == nil)
    }

    @Test func aClientThatDeclinesGoesOnWithTCP() throws {
        var server = ServerHandshake(offer: Offers.server(Self.both))
        let decline = Decline(
            version: .two, peerID: .zero, diagnosis: .noSMCDDevice, furtherDiagnoses: [.noSMCRDevice])
        #expect(server.received(first: try Offers.travel(.decline(decline))) == .useTCP)
        #expect(server.offer.record.refusals.map(\.path) == [.sharedMemory, .rdma])
    }

    @Test func messagesOfTheWrongKindFail() throws {
        let (candidates, chosen) = self.candidates(try self.proposal())
        let link = Offers.link(Offers.serverGID, queuePair: 1)
        let accept = chosen.accept(try #require(candidates.last), body: link, isFirstContact: true)
        let confirm = Confirm(
            body: Offers.link(Offers.clientGID, queuePair: 2), negotiatedEID: Offers.common,
            firstContactExtension: accept.firstContactExtension)
        for message in [CLCMessage.accept(accept), .confirm(confirm)] {
            var fresh = ServerHandshake(offer: Offers.server(Self.both))
            guard case .fail = fresh.received(first: message) else {
                Issue.record("\(message.type) came first and was taken")
                continue
            }
        }
        var again = chosen
        guard case .fail = again.received(first: .proposal(try self.proposal())) else {
            Issue.record("a second Proposal was taken")
            return
        }
        for message in [CLCMessage.accept(accept), .proposal(try self.proposal())] {
            var server = chosen
            guard case .fail = server.received(answer: message, to: accept) else {
                Issue.record("\(message.type) answered an Accept and was taken")
                continue
            }
        }
    }

    @Test func aConfirmMustFitTheAccept() throws {
        let (candidates, chosen) = self.candidates(try self.proposal())
        let link = Offers.link(Offers.serverGID, queuePair: 1)
        let accept = chosen.accept(try #require(candidates.last), body: link, isFirstContact: true)
        let fitting = Confirm(
            body: Offers.link(Offers.clientGID, queuePair: 2), negotiatedEID: Offers.common,
            firstContactExtension: accept.firstContactExtension)
        func answer(_ change: (inout Confirm) -> Void) -> ServerHandshake.OnAnswer {
            var (server, confirm) = (chosen, fitting)
            change(&confirm)
            return server.received(answer: .confirm(confirm), to: accept)
        }
        #expect(answer { _ in } == .join(fitting.body))
        let wrongKind: [(String, (inout Confirm) -> Void)] = [
            ("kind", { $0.body = Offers.memory(Offers.clientAddress, token: 1) }),
            ("version", { $0.version = .one }), ("first contact", { $0.isFirstContact = false }),
        ]
        for (what, change) in wrongKind {
            guard case .fail = answer(change) else {
                Issue.record("a Confirm with another \(what) was taken")
                continue
            }
        }
        // Linux declines these, and so do we (PROTOCOL 2.8).
        let wrongTerms: [(DeclineDiagnosis, (inout Confirm) -> Void)] = [
            (.releaseNegotiationFailed, { $0.firstContactExtension?.release = 0 }),
            (.releaseNegotiationFailed, { $0.firstContactExtension = nil }),
            (.maxConnectionsNegotiationFailed, { $0.firstContactExtension?.maxConnections = 16 }),
            (.maxLinksNegotiationFailed, { $0.firstContactExtension?.maxLinks = 2 }),
        ]
        for (diagnosis, change) in wrongTerms {
            guard case .decline(let decline) = answer(change) else {
                Issue.record("taken in spite of \(diagnosis)")
                continue
            }
            #expect(decline.diagnosis == diagnosis)
        }
    }

    @Test(arguments: [true, false]) func aDeclineOfOurAcceptIsNoted(isOutOfSync: Bool) throws {
        let (candidates, chosen) = self.candidates(try self.proposal())
        var server = chosen
        let accept = server.accept(
            try #require(candidates.last), body: Offers.link(Offers.serverGID, queuePair: 1), isFirstContact: false)
        let decline = Decline(
            version: .two, isOutOfSync: isOutOfSync, peerID: .zero, diagnosis: .synchronizationError)
        #expect(
            server.received(answer: try Offers.travel(.decline(decline)), to: accept)
                == .useTCP(endLinkGroup: isOutOfSync))
        #expect(server.offer.record.refusals.last?.reason.code == .synchronization)
    }

    @Test func whatFailedHereIsRecorded() throws {
        var (_, server) = self.candidates(try self.proposal())
        server.refuse(.sharedMemory, FallbackReason(.poolExhausted, "no SMB left"))
        #expect(server.decline().diagnosis == .dmbLimitExceeded)
    }
}
