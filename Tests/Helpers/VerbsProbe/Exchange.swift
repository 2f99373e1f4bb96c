import SMCVerbs

/// Both ends do this at the same time: write into the peer, tell it, and check what the peer wrote.
struct Exchange {
    let endpoint: Endpoint
    let peer: [UInt64]
    /// Distinguishes the two ends' bytes.
    let mine: UInt8
    let theirs: UInt8
    private var sent = 0
    private var received = 0
    private var arrived: [UInt32] = []
    static let rounds = 20
    static let half = 5000

    init(endpoint: Endpoint, peer: [UInt64], mine: UInt8, theirs: UInt8) {
        self.endpoint = endpoint
        self.peer = peer
        self.mine = mine
        self.theirs = theirs
    }

    private static func byte(_ index: Int, _ round: Int, _ seed: UInt8) -> UInt8 {
        UInt8(truncatingIfNeeded: index &* 31 &+ round &* 7 &+ Int(seed))
    }

    private func remote(_ offset: Int) -> RemoteAddress {
        RemoteAddress(address: self.peer[5] + UInt64(offset), key: UInt32(self.peer[6]))
    }

    /// Rounds of [write, write, send] in one call. The peer's answer to round n allows round n + 1.
    mutating func run() throws {
        for round in 0..<Self.rounds {
            try self.send(round)
            try self.awaitRound(round)
        }
        try self.immediate()
    }

    private func send(_ round: Int) throws {
        let pages = self.endpoint.pages
        for index in 0..<2 * Self.half {
            pages[Endpoint.sourceOffset + index] = Self.byte(index, round, self.mine)
        }
        pages[Endpoint.outOffset] = UInt8(round)
        let region = self.endpoint.region
        let base = (round % 4) * 16_000
        let chain: InlineArray<3, SendRequest> = [
            SendRequest(
                id: 1, .write(self.remote(base)), region.segment(at: Endpoint.sourceOffset, byteCount: Self.half)),
            SendRequest(
                id: 2, .write(self.remote(base + Self.half)),
                region.segment(at: Endpoint.sourceOffset + Self.half, byteCount: Self.half)),
            SendRequest(
                id: 3, .send, region.segment(at: Endpoint.outOffset, byteCount: Endpoint.messageCount),
                flags: self.endpoint.queuePair.inlineMax >= Endpoint.messageCount
                    ? [.signaled, .solicited, .inline] : [.signaled, .solicited]),
        ]
        try self.endpoint.queuePair.post(chain.span)
    }

    /// The peer may be one round ahead: its next message can arrive before our send has completed.
    private mutating func awaitRound(_ round: Int) throws {
        while self.sent <= round || self.received <= round {
            let completion = try self.endpoint.next()
            try completion.checkSuccess(of: "exchange")
            switch completion.kind {
            case .send:
                try require(completion.id == 3, "an unsignaled write completed: \(completion)")
                self.sent += 1
            case .receive:
                try self.check(completion, self.received)
                self.received += 1
            case .receiveWriteWithImmediate:
                self.arrived.append(completion.immediate ?? 0)
            default:
                throw ProbeFailure("unexpected \(completion)")
            }
        }
    }

    private func check(_ completion: WorkCompletion, _ round: Int) throws {
        let pages = self.endpoint.pages
        try require(completion.byteCount == Endpoint.messageCount, "\(completion.byteCount) bytes arrived")
        let slot = Int(completion.id - 1000)
        try require(pages[Endpoint.inOffset + slot * 64] == UInt8(round), "message of another round")
        let base = (round % 4) * 16_000
        for index in 0..<2 * Self.half {
            let expected = Self.byte(index, round, self.theirs)
            try require(pages[base + index] == expected, "round \(round), byte \(index): \(pages[base + index])")
        }
        try self.endpoint.postReceive(slot)
    }

    /// A write that tells the peer by itself, once with bytes and once without.
    private mutating func immediate() throws {
        let segment = self.endpoint.region.segment(at: Endpoint.sourceOffset, byteCount: 8)
        let number = 0xABCD_0000 + UInt32(self.mine)
        let chain: InlineArray<2, SendRequest> = [
            SendRequest(id: 4, .writeWithImmediate(self.remote(64), number), segment),
            SendRequest(id: 5, .writeWithImmediate(self.remote(0), number + 0x100), nil, flags: .signaled),
        ]
        try self.endpoint.queuePair.post(chain.span)
        var isSent = false
        while self.arrived.count < 2 || !isSent {
            let completion = try self.endpoint.next()
            try completion.checkSuccess(of: "immediate")
            if completion.kind == .write { isSent = true }
            if completion.kind == .receiveWriteWithImmediate, let value = completion.immediate {
                self.arrived.append(value)
            }
        }
        let expected = 0xABCD_0000 + UInt32(self.theirs)
        try require(self.arrived == [expected, expected + 0x100], "immediate values \(self.arrived)")
    }
}
