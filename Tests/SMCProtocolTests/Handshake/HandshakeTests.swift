import SMCProtocol
import SMCWire
import Testing

/// Both sides of CLC against each other, every message through its bytes.
struct HandshakeTests {
    typealias Choice = Offers.Choice

    static let pairs: [(Choice, Choice)] = Choice.all.flatMap { client in
        Choice.all.flatMap { server in
            [(Offers.thisCEC, [Offers.common]), (Offers.otherCEC, [Offers.common]), (Offers.thisCEC, [Offers.lonely])]
                .map { cec, eids in
                    var server = server
                    server.cec = cec
                    server.userEIDs = eids
                    return (client, server)
                }
        }
    }

    /// Shared memory first, then RDMA, then nothing; and the reason why not.
    @Test(arguments: pairs) func everyCombinationSelectsTheFastest(client: Choice, server: Choice) throws {
        var clientSide = ClientHandshake(offer: Offers.client(client))
        var serverSide = ServerHandshake(offer: Offers.server(server))
        guard case .propose(let proposal) = clientSide.connected() else {
            #expect(!client.hasSharedMemory && !client.hasRDMA)
            return
        }
        let first = serverSide.received(first: try Offers.travel(.proposal(proposal)))
        guard case .select(let candidates) = first else {
            Issue.record("\(first)")
            return
        }
        let isCommonCEC = client.hasSharedMemory && server.hasSharedMemory && client.cec == server.cec
        let isCommonRDMA = client.hasRDMA && server.hasRDMA && client.userEIDs == server.userEIDs
        let expected = (isCommonCEC ? [DecisionRecord.PathKind.sharedMemory] : []) + (isCommonRDMA ? [.rdma] : [])
        #expect(candidates.map(\.path) == expected)
        let reasons = serverSide.offer.record.refusals
        #expect(reasons.contains { $0.path == .sharedMemory } == !isCommonCEC)
        #expect(reasons.contains { $0.path == .rdma } == !isCommonRDMA)
        if !isCommonCEC {
            let code: FallbackReason.Code =
                !server.hasSharedMemory ? .noHypervisor : !client.hasSharedMemory ? .peerDidNotOffer : .differentCEC
            #expect(reasons.first { $0.path == .sharedMemory }?.reason.code == code)
        }
        if !isCommonRDMA {
            let code: FallbackReason.Code =
                !server.hasRDMA ? .noDevice : !client.hasRDMA ? .peerDidNotOffer : .noCommonUEID
            #expect(reasons.first { $0.path == .rdma }?.reason.code == code)
        }
        guard let candidate = candidates.first else {
            try self.decline(&clientSide, &serverSide)
            return
        }
        try self.agree(candidate, &clientSide, &serverSide)
    }

    private func decline(_ client: inout ClientHandshake, _ server: inout ServerHandshake) throws {
        let answer = client.received(try Offers.travel(.decline(server.decline())))
        #expect(answer == .useTCP)
        let refused = Set(client.offer.record.refusals.map(\.path))
        #expect(refused == [.sharedMemory, .rdma], "the client knows no reason for one of them")
    }

    private func agree(
        _ candidate: ServerHandshake.Candidate, _ client: inout ClientHandshake, _ server: inout ServerHandshake
    ) throws {
        let isRDMA = candidate.path == .rdma
        let ours = isRDMA ? Offers.link(Offers.serverGID, queuePair: 9) : Offers.memory(Offers.serverAddress, token: 77)
        let theirs =
            isRDMA ? Offers.link(Offers.clientGID, queuePair: 8) : Offers.memory(Offers.clientAddress, token: 88)
        let accept = server.accept(candidate, body: ours, isFirstContact: true)
        switch client.received(try Offers.travel(.accept(accept))) {
        case .joinSharedMemory(let endpoint): #expect(.dmb(endpoint) == ours)
        case .joinLink(let endpoint, let isFirstContact):
            #expect(.rdma(endpoint) == ours)
            #expect(isFirstContact)
        case let other: Issue.record("\(other)")
        }
        let confirm = client.confirm(with: theirs)
        #expect(confirm.negotiatedEID == accept.negotiatedEID)
        #expect(confirm.firstContactExtension?.release == accept.firstContactExtension?.release)
        #expect(confirm.firstContactExtension?.maxConnections == accept.firstContactExtension?.maxConnections)
        #expect(confirm.firstContactExtension?.maxLinks == accept.firstContactExtension?.maxLinks)
        #expect(confirm.firstContactExtension?.hostName.text == "client")
        #expect(confirm.gids == (isRDMA ? [Offers.clientGID] : []))
        let answer = server.received(answer: try Offers.travel(.confirm(confirm)), to: accept)
        #expect(answer == .join(theirs))
    }

    @Test func aLateDeclineIsNotedAtTheClient() throws {
        let both = Choice(hasSharedMemory: false, hasRDMA: true)
        var client = ClientHandshake(offer: Offers.client(both))
        _ = client.connected()
        client.received(lateDecline: Decline(version: .two, peerID: .zero, diagnosis: .confirmLinkTimeout))
        #expect(client.offer.record.refusals.last?.path == .rdma)
        #expect(client.offer.record.refusals.last?.reason.code == .linkFailed)
    }

    /// Our own reasons go into the Decline, the first as its diagnosis.
    @Test func aDeclineCarriesAllReasons() throws {
        var server = ServerHandshake(offer: Offers.server(Choice(hasSharedMemory: false, hasRDMA: false)))
        var client = ClientHandshake(offer: Offers.client(Choice(hasSharedMemory: true, hasRDMA: true)))
        guard case .propose(let proposal) = client.connected() else {
            Issue.record("no proposal")
            return
        }
        #expect(server.received(first: .proposal(proposal)) == .select([]))
        let decline = server.decline()
        #expect(decline.diagnosis == .noSMCDDevice)
        #expect(decline.furtherDiagnoses == [.noSMCRDevice])
        _ = client.received(try Offers.travel(.decline(decline)))
        #expect(client.offer.record.refusals.map(\.reason.code) == [.noHypervisor, .noDevice])
        #expect(client.offer.record.refusals.map(\.path) == [.sharedMemory, .rdma])
    }
}
