package import SMCWire

/// One link's part of LLC (RFC 7609, 4.6; PROTOCOL 3): who asks what when, and what every request of a peer is answered
/// with. Pure: what to send is returned; times are the caller's.
package struct LinkState: Hashable, Sendable {
    /// Which end we are, for the whole life of a link group.
    package enum Role: String, Hashable, Sendable {
        case client, server
    }

    /// How far the link has come.
    package enum Phase: Hashable, Sendable {
        /// The queue pair is there; Confirm Link has not been exchanged.
        case unconfirmed
        /// Confirm Link is asked (server only).
        case confirming
        /// Both sides have seen that messages arrive.
        case active
        /// The link carries nothing any more.
        case down
    }

    /// What names our end in Confirm Link and Add Link.
    package struct Identity: Hashable, Sendable {
        package var macAddress: MACAddress
        package var gid: GID
        package var queuePairNumber: UInt32
        /// Diagnostic only.
        package var linkUserID: UInt32
        package var maxLinks: UInt8
        package var maxConnections: UInt8

        package init(
            macAddress: MACAddress, gid: GID, queuePairNumber: UInt32, linkUserID: UInt32, maxLinks: UInt8,
            maxConnections: UInt8
        ) {
            self.macAddress = macAddress
            self.gid = gid
            self.queuePairNumber = queuePairNumber
            self.linkUserID = linkUserID
            self.maxLinks = maxLinks
            self.maxConnections = maxConnections
        }
    }

    package let role: Role
    package let identity: Identity
    package private(set) var phase = Phase.unconfirmed
    /// The server assigns it, the client takes it over.
    package private(set) var linkNumber: UInt8
    /// Where the peer's buffers lie, by key: bounded by the protocol.
    package private(set) var peerBuffers: [UInt32: UInt64] = [:]
    private var pendingRKey: UInt32?
    private var pendingTest: UInt128?

    /// Buffers of a peer that a link remembers: the protocol's limit.
    package static let peerBufferCountMax = 255

    package init(role: Role, identity: Identity) {
        self.role = role
        self.identity = identity
        self.linkNumber = role == .server ? 1 : 0
    }

    // MARK: What we start

    /// The server's proof that the link carries messages, when its queue pair is ready to send.
    package mutating func confirmationDue() -> LLCMessage {
        precondition(self.role == .server && self.phase == .unconfirmed)
        self.phase = .confirming
        return .confirmLink(self.confirmLink(isResponse: false))
    }

    /// Announces a buffer of ours that later connections will use. One announcement at a time.
    package mutating func announce(rkey: UInt32, address: UInt64) -> LLCMessage {
        precondition(self.pendingRKey == nil)
        self.pendingRKey = rkey
        return .confirmRKey(ConfirmRKey(rkey: rkey, address: address))
    }

    /// The peer has not answered the announcement in time: its answer, should it still come, means nothing any more.
    package mutating func announcementAbandoned() {
        self.pendingRKey = nil
    }

    /// Asks whether the peer is there, unless it is being asked already.
    package mutating func testDue(userData: UInt128) -> LLCMessage? {
        guard self.phase == .active, self.pendingTest == nil else { return nil }
        self.pendingTest = userData
        return .testLink(TestLink(userData: userData))
    }

    /// A Test Link of ours has not been answered.
    package var isTestPending: Bool { self.pendingTest != nil }

    /// We end the group, for example because the program ends.
    package mutating func endRequested() -> LLCMessage? {
        guard self.phase == .active else { return nil }
        self.phase = .down
        return .deleteLink(DeleteLink(deletesAll: true, isOrderly: true, reason: .programInitiated))
    }

    /// The link failed below us.
    package mutating func failed() {
        self.phase = .down
    }

    // MARK: What the peer sends

    /// What to do with a message.
    package enum OnMessage: Hashable {
        case ignore
        /// Answer with this.
        case reply(LLCMessage)
        /// Client: move the queue pair to ready-to-send, then answer with this; the link is up.
        case activateAndReply(LLCMessage)
        /// Server: the client has confirmed; the link is up.
        case activated
        /// The peer knows our buffer (or refuses it).
        case announced(rkey: UInt32, isAccepted: Bool)
        /// The peer ends the link; answer with this if it is not nil, then take the link down.
        case end(LLCMessage?, reason: String)
        /// The peer broke the protocol: take the link down.
        case violation(String)
    }

    package mutating func received(_ message: LLCMessage) -> OnMessage {
        guard self.phase != .down else { return .ignore }
        switch message {
        case .confirmLink(let message): return self.received(message)
        case .testLink(let message): return self.received(message)
        case .confirmRKey(let message): return self.received(message)
        case .deleteRKey(let message): return self.received(message)
        case .deleteLink(let message): return self.received(message)
        case .addLink(var message):
            guard !message.isResponse else { return .ignore }
            // A second link has no place yet: refused, as a host with one port does (trap T9).
            message.isResponse = true
            message.isRejected = true
            message.rejectReason = .noAlternatePath
            message.v2Extension = nil
            message.lengthByteOrder = .big
            return .reply(.addLink(message))
        case .requestAddLink(var message):
            guard !message.isRefusal else { return .ignore }
            message.isRefusal = true
            message.gids = []
            message.lengthByteOrder = .big
            return .reply(.requestAddLink(message))
        case .addLinkContinuation, .confirmRKeyContinuation:
            return .ignore  // Parts of flows that we refuse or never start.
        }
    }

    private mutating func received(_ message: ConfirmLink) -> OnMessage {
        guard message.hasNoEyeCatcher else { return .violation("it wants eye catchers in its buffers") }
        switch (self.role, message.isResponse, self.phase) {
        case (.client, false, .unconfirmed):
            guard message.linkNumber != 0 else { return .violation("link number 0 in Confirm Link") }
            self.linkNumber = message.linkNumber
            self.phase = .active
            return .activateAndReply(.confirmLink(self.confirmLink(isResponse: true)))
        case (.server, true, .confirming):
            guard message.linkNumber == self.linkNumber else {
                return .violation("Confirm Link came back with link number \(message.linkNumber)")
            }
            self.phase = .active
            return .activated
        default:
            return .violation("a Confirm Link that was not due")
        }
    }

    private func confirmLink(isResponse: Bool) -> ConfirmLink {
        ConfirmLink(
            isResponse: isResponse, macAddress: self.identity.macAddress, gid: self.identity.gid,
            queuePairNumber: self.identity.queuePairNumber, linkNumber: self.linkNumber,
            linkUserID: self.identity.linkUserID, maxLinks: self.identity.maxLinks,
            maxConnections: self.identity.maxConnections)
    }

    private mutating func received(_ message: TestLink) -> OnMessage {
        guard message.isResponse else {
            return .reply(.testLink(TestLink(version: message.version, isResponse: true, userData: message.userData)))
        }
        if message.userData == self.pendingTest { self.pendingTest = nil }
        return .ignore
    }

    private mutating func received(_ message: ConfirmRKey) -> OnMessage {
        if message.isResponse {
            guard message.rkey == self.pendingRKey else { return .ignore }
            self.pendingRKey = nil
            return .announced(rkey: message.rkey, isAccepted: !message.isNegative)
        }
        var answer = message
        answer.isResponse = true
        answer.lengthByteOrder = .big
        if self.peerBuffers[message.rkey] == nil, self.peerBuffers.count >= Self.peerBufferCountMax {
            answer.isNegative = true
        } else {
            self.peerBuffers[message.rkey] = message.address
        }
        return .reply(.confirmRKey(answer))
    }

    private mutating func received(_ message: DeleteRKey) -> OnMessage {
        guard !message.isResponse else { return .ignore }
        var answer = message
        answer.isResponse = true
        answer.lengthByteOrder = .big
        // Rkeys that came with CLC were never told by Confirm RKey, so an unknown one is no error of the peer's.
        for rkey in message.rkeys { self.peerBuffers[rkey] = nil }
        return .reply(.deleteRKey(answer))
    }

    private mutating func received(_ message: DeleteLink) -> OnMessage {
        guard !message.isResponse else { return .ignore }
        let isOurs = message.deletesAll || message.linkNumber == self.linkNumber
        var answer = message
        answer.isResponse = true
        answer.lengthByteOrder = .big
        answer.reason = isOurs ? .done : .unknownLink
        guard isOurs else { return .reply(.deleteLink(answer)) }
        self.phase = .down
        let number = String(message.reason.rawValue, radix: 16)
        return .end(.deleteLink(answer), reason: "the peer ended the link group (Delete Link, reason 0x\(number))")
    }
}
