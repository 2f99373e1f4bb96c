import SMCProtocol
import SMCWire
import Testing

/// One link's part of LLC, with every answer through its bytes.
struct LinkStateTests {
    private static func identity(_ number: UInt32) -> LinkState.Identity {
        LinkState.Identity(
            macAddress: MACAddress(rawValue: UInt64(number)), gid: GID(ipv4Address: number), queuePairNumber: number,
            linkUserID: number * 10, maxLinks: 1, maxConnections: 255)
    }

    private func travel(_ message: LLCMessage) throws -> LLCMessage { try LLCMessage(decoding: message.encoded()) }

    /// Both ends of a link that is up.
    private func activePair() throws -> (client: LinkState, server: LinkState) {
        var client = LinkState(role: .client, identity: Self.identity(2))
        var server = LinkState(role: .server, identity: Self.identity(1))
        guard case .activateAndReply(let reply) = client.received(try self.travel(server.confirmationDue())) else {
            throw Unexpected("no activation")
        }
        #expect(server.received(try self.travel(reply)) == .activated)
        return (client, server)
    }

    private func reply(_ answer: LinkState.OnMessage) throws -> LLCMessage {
        guard case .reply(let message) = answer else { throw Unexpected("\(answer)") }
        #expect(message.isResponse)
        #expect(try self.travel(message) == message)
        return message
    }

    // MARK: Confirm Link

    @Test func theFirstLinkIsConfirmedByTheServer() throws {
        var server = LinkState(role: .server, identity: Self.identity(1))
        #expect(server.phase == .unconfirmed)
        let request = try self.travel(server.confirmationDue())
        #expect(server.phase == .confirming)
        guard case .confirmLink(let confirm) = request else { throw Unexpected("\(request)") }
        #expect(!confirm.isResponse)
        #expect(confirm.hasNoEyeCatcher)
        #expect(confirm.linkNumber == 1)
        #expect(confirm.queuePairNumber == 1)
        let pair = try self.activePair()
        #expect(pair.client.phase == .active && pair.server.phase == .active)
        #expect(pair.client.linkNumber == 1)
    }

    @Test func confirmLinkViolations() throws {
        var request = LinkState(role: .server, identity: Self.identity(1))
        guard case .confirmLink(let good) = request.confirmationDue() else { throw Unexpected("kind") }
        func isViolation(_ state: LinkState, _ change: (inout ConfirmLink) -> Void) -> Bool {
            var (state, message) = (state, good)
            change(&message)
            if case .violation = state.received(.confirmLink(message)) { return true }
            return false
        }
        let client = LinkState(role: .client, identity: Self.identity(2))
        #expect(!isViolation(client) { _ in })
        #expect(isViolation(client) { $0.hasNoEyeCatcher = false })
        #expect(isViolation(client) { $0.linkNumber = 0 })
        #expect(isViolation(client) { $0.isResponse = true })
        #expect(isViolation(LinkState(role: .server, identity: Self.identity(1))) { $0.isResponse = true })
        #expect(isViolation(request) { _ in }, "a server was asked")
        #expect(
            isViolation(request) {
                $0.isResponse = true; $0.linkNumber = 9
            })
        #expect(!isViolation(request) { $0.isResponse = true })
        let active = try self.activePair()
        #expect(isViolation(active.server) { $0.isResponse = true }, "a second answer")
        #expect(isViolation(active.client) { _ in }, "a second request")
    }

    // MARK: Requests of a peer

    @Test func everyRequestIsAnswered() throws {
        let rkeys = ConfirmRKey(rkey: 5, address: 0x5000)
        let requests: [LLCMessage] = [
            .testLink(TestLink(userData: 99)), .confirmRKey(rkeys), .deleteRKey(DeleteRKey(rkeys: [5, 6])),
            .addLink(
                AddLink(
                    isResponse: false, macAddress: .zero, gid: .zero, queuePairNumber: 3, linkNumber: 2,
                    mtu: .bytes1024, initialPSN: 1)),
            .requestAddLink(RequestAddLink(gids: [Self.identity(3).gid])),
            .deleteLink(DeleteLink(isOrderly: true, linkNumber: 7, reason: .lostPath)),
        ]
        let pair = try self.activePair()
        for request in requests {
            for state in [pair.client, pair.server] {
                var state = state
                let answer = try self.reply(state.received(try self.travel(request)))
                #expect(answer.type == request.type)
                #expect(state.phase == .active)
            }
        }
    }

    @Test func answersAreNotAnswered() throws {
        let answers: [LLCMessage] = [
            .testLink(TestLink(isResponse: true, userData: 99)), .deleteRKey(DeleteRKey(isResponse: true, rkeys: [5])),
            .confirmRKey(ConfirmRKey(isResponse: true, rkey: 5, address: 1)),
            .addLink(
                AddLink(
                    isResponse: true, macAddress: .zero, gid: .zero, queuePairNumber: 3, linkNumber: 2,
                    mtu: .bytes1024, initialPSN: 1)),
            .requestAddLink(RequestAddLink(isRefusal: true, gids: [])),
            .deleteLink(DeleteLink(isResponse: true, deletesAll: true, isOrderly: true, reason: .done)),
            .addLinkContinuation(AddLinkContinuation(isResponse: false, linkNumber: 1, remainingCount: 0, rkeys: [])),
            .confirmRKeyContinuation(ConfirmRKeyContinuation(remainingCount: 0, links: [])),
        ]
        for message in answers {
            var pair = try self.activePair()
            #expect(pair.client.received(message) == .ignore, "\(message.type)")
            #expect(pair.client.phase == .active)
        }
    }

    @Test func aSecondLinkIsRefusedPolitely() throws {
        var (client, _) = try self.activePair()
        let request = AddLink(
            lengthByteOrder: .little, isResponse: false, macAddress: .zero, gid: .zero, queuePairNumber: 3,
            linkNumber: 2, mtu: .bytes1024, initialPSN: 1,
            v2Extension: AddLink.V2Extension(isDirect: true, clientTargetGID: .zero, rkeys: []))
        guard case .addLink(let answer) = try self.reply(client.received(.addLink(request))) else {
            throw Unexpected("kind")
        }
        #expect(answer.isRejected)
        #expect(answer.rejectReason == .noAlternatePath)
        #expect(answer.lengthByteOrder == .big)
    }

    @Test func testLinkIsEchoed() throws {
        var (client, _) = try self.activePair()
        let data: UInt128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f
        #expect(
            try self.reply(client.received(.testLink(TestLink(userData: data))))
                == .testLink(TestLink(isResponse: true, userData: data)))
    }

    // MARK: Test Link of ours

    @Test func oneTestAtATime() throws {
        var (client, server) = try self.activePair()
        let test = client.testDue(userData: 42)
        let request = try #require(test)
        #expect(client.isTestPending)
        #expect(client.testDue(userData: 43) == nil)
        #expect(client.received(.testLink(TestLink(isResponse: true, userData: 41))) == .ignore)
        #expect(client.isTestPending, "another test's answer does not count")
        _ = client.received(try self.reply(server.received(try self.travel(request))))
        #expect(!client.isTestPending)
        #expect(client.testDue(userData: 44) != nil)
        var fresh = LinkState(role: .client, identity: Self.identity(2))
        #expect(fresh.testDue(userData: 1) == nil, "only a link that is up is tested")
    }

    // MARK: Buffers

    @Test func buffersAreAnnouncedAndForgotten() throws {
        var (client, server) = try self.activePair()
        let request = try self.travel(client.announce(rkey: 5, address: 0x5000))
        let answer = try self.reply(server.received(request))
        #expect(server.peerBuffers == [5: 0x5000])
        #expect(client.received(answer) == .announced(rkey: 5, isAccepted: true))
        #expect(client.received(answer) == .ignore, "the same answer again")
        _ = try self.reply(server.received(request))
        #expect(server.peerBuffers == [5: 0x5000], "a buffer that is known is no error")
        _ = try self.reply(server.received(.deleteRKey(DeleteRKey(rkeys: [5, 77]))))
        #expect(server.peerBuffers.isEmpty)
    }

    @Test func aRefusedBufferIsReported() throws {
        var (client, _) = try self.activePair()
        _ = client.announce(rkey: 5, address: 0x5000)
        let other = ConfirmRKey(isResponse: true, isNegative: true, rkey: 6, address: 0)
        #expect(client.received(.confirmRKey(other)) == .ignore)
        let refusal = ConfirmRKey(isResponse: true, isNegative: true, rkey: 5, address: 0)
        #expect(client.received(.confirmRKey(refusal)) == .announced(rkey: 5, isAccepted: false))
        // Now the next may be announced.
        #expect(client.announce(rkey: 7, address: 1).type == .confirmRKey)
    }

    @Test func aPeerCannotFillOurMemory() throws {
        var (_, server) = try self.activePair()
        for rkey in 0..<300 as Range<UInt32> {
            guard
                case .confirmRKey(let answer) = try self.reply(
                    server.received(.confirmRKey(ConfirmRKey(rkey: rkey, address: 1))))
            else { throw Unexpected("kind") }
            #expect(answer.isNegative == (rkey >= 255))
        }
        #expect(server.peerBuffers.count == 255)
        // One that is known may change its address all the same.
        _ = server.received(.confirmRKey(ConfirmRKey(rkey: 3, address: 2)))
        #expect(server.peerBuffers[3] == 2)
    }

    // MARK: The end

    @Test func thePeerEndsTheGroup() throws {
        for end in [
            DeleteLink(deletesAll: true, isOrderly: true, reason: .programInitiated),
            DeleteLink(isOrderly: false, linkNumber: 1, reason: .lostPath),
        ] {
            var (client, _) = try self.activePair()
            guard case .end(.some(let answer), let reason) = client.received(try self.travel(.deleteLink(end))) else {
                Issue.record("no end")
                continue
            }
            guard case .deleteLink(let response) = try self.travel(answer) else { throw Unexpected("kind") }
            #expect(response.isResponse)
            #expect(response.reason == .done)
            #expect(reason.contains(String(end.reason.rawValue, radix: 16)))
            #expect(client.phase == .down)
        }
    }

    @Test func anotherLinkIsNotOurs() throws {
        var (client, _) = try self.activePair()
        let request = DeleteLink(isOrderly: true, linkNumber: 9, reason: .lostPath)
        guard case .deleteLink(let answer) = try self.reply(client.received(.deleteLink(request))) else {
            throw Unexpected("kind")
        }
        #expect(answer.reason == .unknownLink)
        #expect(client.phase == .active)
    }

    @Test func weEndTheGroupOnce() throws {
        var (client, server) = try self.activePair()
        let end = client.endRequested()
        let request = try #require(end)
        #expect(client.endRequested() == nil)
        guard case .end = server.received(try self.travel(request)) else {
            Issue.record("the peer does not understand")
            return
        }
        var fresh = LinkState(role: .client, identity: Self.identity(2))
        #expect(fresh.endRequested() == nil)
    }

    @Test func aLinkThatIsDownSaysNothing() throws {
        var (client, _) = try self.activePair()
        client.failed()
        #expect(client.phase == .down)
        #expect(client.received(.testLink(TestLink(userData: 1))) == .ignore)
        #expect(client.testDue(userData: 1) == nil)
        #expect(client.endRequested() == nil)
    }
}
