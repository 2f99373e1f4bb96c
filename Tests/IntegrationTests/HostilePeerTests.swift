import Foundation
import Testing

/// Peers that break the protocol: only their own connection may suffer.
@Suite struct HostilePeerTests {
    /// "SMCR" in EBCDIC: with these four bytes every CLC message begins and ends.
    private static let eyeCatcher: [UInt8] = [0xe2, 0xd4, 0xc3, 0xd9]

    @Test func aServerThatSpeaksSomethingElse() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let server = try RawSocket.listen()
            let client = try scene.smc("connect", "127.0.0.1:\(server.port)", input: .pipe)
            let peer = try await server.accept()
            _ = try await peer.read()
            try await peer.write(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))
            try await Self.expectNoHandshake(scene, client, "not CLC", "--require tcp")
        }
    }

    @Test func aServerThatStopsInTheHandshake() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let server = try RawSocket.listen()
            let client = try scene.smc("connect", "--timeout", "2", "127.0.0.1:\(server.port)", input: .pipe)
            let peer = try await server.accept()
            #expect(try await peer.readCLC().prefix(4) == Self.eyeCatcher[...])
            try await Self.expectNoHandshake(scene, client, "did not go on in time", "--require tcp")
        }
    }

    @Test func aServerThatClosesInTheHandshake() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let server = try RawSocket.listen()
            let client = try scene.smc("connect", "127.0.0.1:\(server.port)", input: .pipe)
            let peer = try await server.accept()
            _ = try await peer.readCLC()
            try await peer.write(Self.eyeCatcher + [2, 0])
            peer.finishWriting()
            try await Self.expectNoHandshake(scene, client, "ended")
        }
    }

    @Test func aServerWhoseLengthLies() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let server = try RawSocket.listen()
            let client = try scene.smc("connect", "127.0.0.1:\(server.port)", input: .pipe)
            let peer = try await server.accept()
            _ = try await peer.readCLC()
            try await peer.write(Self.eyeCatcher + [2, 0xff, 0xff, 0x20] + [UInt8](repeating: 0, count: 100))
            try await Self.expectNoHandshake(scene, client, "broken CLC")
        }
    }

    /// What a hostile client sends, whether it then closes, and what the listener says about it.
    struct Attack: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var isClosed: Bool
        var complaint: String
    }

    static let attacks = [
        Attack(
            testDescription: "garbage behind an eye catcher",
            bytes: eyeCatcher + (0..<500).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }, isClosed: false,
            complaint: "broken CLC"),
        Attack(
            testDescription: "a length beyond all bounds", bytes: eyeCatcher + [1, 0xff, 0xff, 0x20],
            isClosed: false, complaint: "broken CLC"),
        Attack(
            testDescription: "a length below all bounds",
            bytes: eyeCatcher + [1, 0, 8, 0x20] + [UInt8](repeating: 0, count: 64), isClosed: false,
            complaint: "broken CLC"),
        Attack(
            testDescription: "a length that more would have to follow",
            bytes: eyeCatcher + [1, 2, 0, 0x20] + [UInt8](repeating: 0, count: 64), isClosed: true,
            complaint: "ended"),
        Attack(
            testDescription: "a Proposal of nothing but zeros",
            bytes: eyeCatcher + [1, 0, 80, 0x2c] + [UInt8](repeating: 0, count: 68) + eyeCatcher, isClosed: false,
            complaint: "broken CLC"),
        Attack(
            testDescription: "half a header, then nothing", bytes: eyeCatcher + [1, 0], isClosed: false,
            complaint: "did not go on in time"),
        Attack(
            testDescription: "half a Proposal, then nothing",
            bytes: eyeCatcher + [1, 0, 200, 0x20] + [UInt8](repeating: 0, count: 50), isClosed: false,
            complaint: "did not go on in time"),
        Attack(
            testDescription: "half a Proposal, then the end",
            bytes: eyeCatcher + [1, 0, 200, 0x20] + [UInt8](repeating: 0, count: 50), isClosed: true,
            complaint: "ended"),
    ]

    @Test(arguments: attacks)
    func aClientThatBreaksTheProtocol(_ attack: Attack) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "--timeout", "2", "127.0.0.1:0")
            let port = try await echo.port()
            let good = try scene.smc("connect", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
            try good.write("before".utf8)
            try await scene.until("the good client is served") { good.output == "before" }

            let bad = try RawSocket.connect(port: port)
            try await bad.write(attack.bytes)
            if attack.isClosed { bad.finishWriting() }
            // It is told by the end of its connection, and by nothing else.
            #expect(try await bad.readToEnd() == [])

            try good.write(" after".utf8)
            try good.closeInput()
            #expect(try await good.exit() == 0)
            #expect(good.output == "before after")
            let next = try scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(port)")
            #expect(try await next.exit() == 0, "\(next.errors)")
            let complaint = try await echo.line("the handshake with 127.0.0.1:")
            #expect(complaint.contains(attack.complaint))
            #expect(echo.errorLines.count == 2, "where it listens, and one complaint: \(echo.errorLines)")
        }
    }

    // MARK: Tokens

    enum Forgery: CaseIterable {
        /// A number that the hypervisor never gave out.
        case invented
        /// The token of a connection that is over.
        case stale
        /// The token of another connection, which is in use.
        case stolen
    }

    @Test(arguments: Forgery.allCases)
    func aForgedTokenInAConfirmIsDeclined(_ forgery: Forgery) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let (relay, seen) = try await (Relay(to: echo.port()), TokenBox())
            // A connection whose token can be seen.
            let first = try scene.smc("connect", "--json", "127.0.0.1:\(relay.port)", input: .pipe)
            async let firstRelayed: Void = relay.serve { message, bytes in
                if message == .confirm { await seen.set(Array(bytes[Relay.tokenRange])) }
                return bytes
            }
            try first.write("first".utf8)
            try await scene.until("the first connection stands") { first.output == "first" }
            if forgery == .stale {
                try first.closeInput()
                #expect(try await first.exit() == 0)
                #expect(try first.json()["path"] == .text("shared-memory"))
            }
            let token = forgery == .invented ? [1, 2, 3, 4, 5, 6, 7, 8] : await seen.token
            #expect(token.contains { $0 != 0 })
            try await Self.expectDeclined(scene, relay, echo) { message, bytes in
                guard message == .confirm else { return bytes }
                return bytes.replacing(Relay.tokenRange, with: token)
            }
            if forgery != .stale {
                try first.write(" still".utf8)
                try first.closeInput()
                #expect(try await first.exit() == 0)
                #expect(first.output == "first still")
                #expect(try first.json()["path"] == .text("shared-memory"))
            }
            try await firstRelayed
        }
    }

    @Test func aForgedTokenInAnAcceptIsDeclined() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let relay = try await Relay(to: echo.port())
            try await Self.expectDeclined(scene, relay, echo) { message, bytes in
                guard message == .accept else { return bytes }
                return bytes.replacing(Relay.tokenRange, with: [8, 7, 6, 5, 4, 3, 2, 1])
            }
        }
    }

    /// Expects that a connection whose handshake is changed works over TCP, and that the next one is as good as ever.
    private static func expectDeclined(
        _ scene: Scene, _ relay: Relay, _ echo: Program,
        _ change: @escaping @Sendable (Relay.Message, [UInt8]) async throws -> [UInt8]
    ) async throws {
        let client = try scene.smc("connect", "--json", "127.0.0.1:\(relay.port)", input: .pipe)
        async let relayed: Void = relay.serve(change)
        try client.write("forged".utf8)
        try client.closeInput()
        #expect(try await client.exit() == 0)
        try await relayed
        #expect(client.output == "forged")
        #expect(try client.json()["path"] == .text("tcp"))
        #expect(try client.json()["reason"]?.text?.contains("shared-memory: ") == true)
        let next = try await scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(echo.port())")
        #expect(try await next.exit() == 0, "\(next.errors)")
        #expect(echo.errorLines.count == 1, "nothing broke: \(echo.errorLines)")
    }

    private static func expectNoHandshake(_ scene: Scene, _ client: Program, _ parts: String...) async throws {
        #expect(try await client.exit() == 5)
        #expect(client.errorLines.count == 1, "\(client.errorLines)")
        #expect(client.errors.hasPrefix("smc: the handshake with 127.0.0.1:"), "\(client.errors)")
        for part in parts { #expect(client.errors.contains(part), "\(client.errors)") }
    }
}

private actor TokenBox {
    private(set) var token: [UInt8] = []

    func set(_ token: [UInt8]) { self.token = token }
}

extension [UInt8] {
    fileprivate func replacing(_ range: Range<Int>, with bytes: [UInt8]) -> [UInt8] {
        var copy = self
        copy.replaceSubrange(range, with: bytes)
        return copy
    }
}
