import SMCProtocol
import SMCSystem
import SMCTransport
import SMCWire
import Testing

@testable import SMC

extension OneAtATime {
    /// Clients that speak no SMC, or speak it late.
    @Suite(.timeLimit(.minutes(1))) struct PlainClientTests {
        private struct Connected {
            let raw: TCPSocket
            let server: End
        }

        private static func connect(_ site: Site, saying first: [UInt8]) async throws -> Connected {
            let raw = try TCPSocket.startConnecting(to: try site.address)
            let socket = try await site.accept()
            if !first.isEmpty { #expect(try raw.write(first, from: 0) == first.count) }
            return Connected(raw: raw, server: End(try await site.server.serve(socket)))
        }

        private static func withServer(_ body: (Site) async throws -> Void) async throws {
            let site = try Site(.sharedMemory) { $0.firstBytesTimeout = .milliseconds(50) }
            do {
                try await body(site)
            } catch {
                await site.close()
                throw error
            }
            await site.close()
        }

        private static func proposal() -> CLCMessage {
            var client = ClientHandshake(
                offer: LocalOffer(
                    peerID: PeerID(rawValue: 1), instance: 1, hostName: HostName("late"),
                    sharedMemory: LocalOffer.SharedMemory(
                        addresses: [SMGID(gid: 1, extendedGID: 1)], systemEID: EID("SWIFTSMCELSEWHERE")!)))
            guard case .propose(let proposal) = client.connected() else { fatalError("it has something to propose") }
            return .proposal(proposal)
        }

        private static func readMessage(_ raw: TCPSocket) throws -> CLCMessage {
            #expect(try Readiness.wait(raw.descriptor, timeout: .seconds(5)))
            let header = try CLCHeader(decoding: try #require(try raw.peek(CLCHeader.byteCount)))
            return try CLCMessage(decoding: try #require(try raw.read(header.length)))
        }

        @Test(arguments: [[1], [0xe2], Array("GET / HTTP/1.0\r\n\r\n".utf8), [0xe2, 0xd4, 0xc3, 0]] as [[UInt8]])
        func firstBytesArePassedOn(first: [UInt8]) async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: first)
                if first.count < 4 { _ = try connected.raw.write([7, 7, 7], from: 0) }
                #expect(connected.server.stream.path == .tcp)
                #expect(connected.server.stream.record.refusals.first?.reason.code == .peerWithoutSMC)
                let all = first.count < 4 ? first + [7, 7, 7] : first
                #expect(try await connected.server.receive(exactly: all.count) == all)
            }
        }

        @Test func aSilentClientIsSpokenTo() async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: [])
                #expect(connected.server.stream.path == .tcp)
                try await connected.server.connection.send([1, 2])
                #expect(try Readiness.wait(connected.raw.descriptor, timeout: .seconds(5)))
                #expect(try connected.raw.read(10) == [1, 2])
                _ = try connected.raw.write([3], from: 0)
                #expect(try await connected.server.receive(exactly: 1) == [3])
            }
        }

        /// A Proposal that comes too late is declined, and the program never sees it.
        @Test(arguments: [1, 4, 8, 20, 1000]) func aLateProposalIsDeclined(bytesAtOnce: Int) async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: [])
                let reader = Task { try await connected.server.receive(exactly: 3) }
                let bytes = Self.proposal().encoded()
                for start in stride(from: 0, to: bytes.count, by: bytesAtOnce) {
                    _ = try connected.raw.write(Array(bytes[start..<min(bytes.count, start + bytesAtOnce)]), from: 0)
                    if start < 3 * bytesAtOnce { try await Task.sleep(for: .milliseconds(5)) }
                }
                guard case .decline(let decline) = try Self.readMessage(connected.raw) else {
                    Issue.record("no Decline")
                    return
                }
                #expect(decline.diagnosis == .peerDidNotIndicateSMC)
                _ = try connected.raw.write([7, 8, 9], from: 0)
                #expect(try await reader.value == [7, 8, 9])
            }
        }

        /// Half a Proposal and no more: the program gets what came.
        @Test func aProposalThatNeverEndsIsData() async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: [])
                let start = Array(Self.proposal().encoded().prefix(20))
                _ = try connected.raw.write(start, from: 0)
                connected.raw.shutdownWriting()
                #expect(try await connected.server.receive(exactly: 20) == start)
                #expect(try await connected.server.connection.receive(atMost: 1) == nil)
            }
        }

        /// Whoever waits for the rest of half a Proposal sleeps, and is not woken for the half again and again.
        @Test(arguments: [2, 8, 20]) func halfAProposalKeepsNobodyBusy(byteCount: Int) async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: [])
                guard case .tcp(let transport) = connected.server.stream.carrier else {
                    Issue.record("another path")
                    return
                }
                let reader = Task { try await connected.server.receive(exactly: 3) }
                let bytes = Self.proposal().encoded()
                _ = try connected.raw.write(Array(bytes.prefix(byteCount)), from: 0)
                try await Task.sleep(for: .milliseconds(50))
                // Each wake-up takes one number.
                let before = transport.readPoint.ticket()
                try await Task.sleep(for: .milliseconds(200))
                let wakeUps = transport.readPoint.ticket() &- before
                #expect(wakeUps <= 2)
                _ = try connected.raw.write(Array(bytes.dropFirst(byteCount)), from: 0)
                _ = try Self.readMessage(connected.raw)
                _ = try connected.raw.write([7, 8, 9], from: 0)
                #expect(try await reader.value == [7, 8, 9])
            }
        }

        /// What may be the beginning of a Proposal and is not: the program gets it all the same, if a little later.
        @Test(arguments: [1, 4, 8, 20]) func aBeginningOfAProposalIsData(count: Int) async throws {
            try await Self.withServer { site in
                let connected = try await Self.connect(site, saying: [])
                let start = Array(Self.proposal().encoded().prefix(count))
                _ = try connected.raw.write(start, from: 0)
                #expect(try await connected.server.receive(exactly: count) == start)
                _ = try connected.raw.write([3], from: 0)
                #expect(try await connected.server.receive(exactly: 1) == [3])
            }
        }

        @Test func aClientOfAnotherCECIsDeclined() async throws {
            try await Self.withServer { site in
                async let connected = Self.connect(site, saying: Self.proposal().encoded())
                let server = try await connected
                guard case .decline(let decline) = try Self.readMessage(server.raw) else {
                    Issue.record("no Decline")
                    return
                }
                let codes = [decline.diagnosis] + decline.furtherDiagnoses
                #expect(codes.contains(.noSMCDv2Device))
                #expect(server.server.stream.path == .tcp)
                _ = try server.raw.write([5], from: 0)
                #expect(try await server.server.receive(exactly: 1) == [5])
            }
        }

        @Test(arguments: 0..<30) func brokenMessagesFailTheHandshakeOnly(seed: Int) async throws {
            try await Self.withServer { site in
                var bytes = Self.proposal().encoded()
                // The length says one byte less or more, the type is none, or the trailer is wrong.
                switch seed % 3 {
                case 0: bytes[6] = bytes[6] &+ UInt8(1 + seed)
                case 1: bytes[4] = UInt8(5 + seed)
                default: bytes[bytes.count - 1 - seed % 4] ^= 0xff
                }
                let raw = try TCPSocket.startConnecting(to: try site.address)
                let socket = try await site.accept()
                _ = try raw.write(bytes, from: 0)
                raw.shutdownWriting()
                await #expect(throws: TransportError.self) { _ = try await site.server.serve(socket) }
                _ = try await site.connect()
            }
        }
    }
}
