import SMCSystem
import SMCTesting
import SMCTransport
import Synchronization
import Testing

@testable import SMC

extension OneAtATime {
    /// Reserved room, borrowed bytes and messages, over every medium.
    @Suite(.timeLimit(.minutes(1))) struct BorrowingTests {
        private static var limit: ContinuousClock.Instant { .now.advanced(by: .seconds(20)) }

        /// Written in the peer's memory, read in our own, in pieces of any size.
        @Test(arguments: Medium.allCases, 0..<3) func bytesAreSharedInPlace(medium: Medium, seed: Int) async throws {
            try await Site.withPair(medium) { pair, _ in
                let total = 1 << 20
                async let sent: Void = Self.fill(pair.client.connection, total, UInt64(seed))
                var random = SeededGenerator(seed: UInt64(seed + 50))
                var received = 0
                while true {
                    let minimum = Int.random(in: 1...20_000, using: &random)
                    let most = Int.random(in: 1...40_000, using: &random)
                    let position = received
                    var isRight = true
                    let count = try await pair.server.connection.receive(atLeast: minimum, until: Self.limit) { bytes in
                        let count = min(most, bytes.byteCount)
                        isRight = Pattern.matches(
                            bytes.withUnsafeBytes { Array($0.prefix(count)) }, at: position)
                        isRight = isRight && (bytes.byteCount >= minimum || position + bytes.byteCount == total)
                        return count
                    }
                    guard let count else { break }
                    guard isRight else {
                        Issue.record("\(count) wrong bytes at \(received), seed \(seed)")
                        return
                    }
                    received += count
                }
                #expect(received == total, "seed \(seed)")
                try await sent
            }
        }

        private static func fill(_ connection: Connection, _ total: Int, _ seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            var sent = 0
            while sent < total {
                let most = min(total - sent, Int.random(in: 1...30_000, using: &random))
                let bytes = Pattern.part(sent, most)
                try await connection.send(
                    reserving: most, atLeast: Int.random(in: 1...most, using: &random), until: Self.limit
                ) { room in
                    while !room.isFull { room.append(bytes[room.byteCount], as: UInt8.self) }
                    sent += room.byteCount
                }
            }
            connection.finishSending()
        }

        @Test(arguments: Medium.allCases) func nothingWrittenIsNothingSent(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (client, server) = (pair.client.connection, pair.server.connection)
                #expect(try client.trySend(reserving: 100) { _ in })
                #expect(try server.tryReceive { $0.byteCount } == .nothing)
                try await client.send(reserving: 100) { room in room.append(7, as: UInt8.self) }
                // Looked at and left alone, then taken.
                for taken in [0, 0, 1] {
                    let count = try await server.receive(until: Self.limit) { bytes in
                        #expect(bytes.byteCount == 1 && bytes.unsafeLoad(as: UInt8.self) == 7)
                        return taken
                    }
                    #expect(count == taken)
                }
                #expect(try server.tryReceive { $0.byteCount } == .nothing)
            }
        }

        @Test(arguments: Medium.allCases) func piecesHaveALimit(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let most = pair.client.connection.pieceByteCountMax
                #expect(medium == .tcp || most == Site.ringByteCount / 2)
                #expect(
                    await failure { () throws(SMCError) in
                        try await pair.server.connection.receive(atLeast: most + 1) { $0.byteCount }
                    } == .tooLarge)
                guard medium == .sharedMemory else { return }
                #expect(
                    await failure { () throws(SMCError) in
                        try await pair.client.connection.send(reserving: most + 1, atLeast: most + 1) { _ in }
                    } == .tooLarge)
                // Both ends wait for as much as they may, and neither in vain.
                async let received = pair.server.connection.receive(atLeast: most, until: Self.limit) { $0.byteCount }
                for _ in 0..<2 {
                    try await pair.client.connection.send(reserving: most, atLeast: most, until: Self.limit) { room in
                        while !room.isFull { room.append(1, as: UInt8.self) }
                    }
                }
                #expect(try await received ?? 0 >= most)
            }
        }

        /// What is left at the end is shown, though it is less than was asked for.
        @Test(arguments: Medium.allCases) func theEndShowsWhatIsLeft(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                try await pair.client.connection.send([1, 2, 3])
                pair.client.connection.finishSending()
                #expect(
                    try await pair.server.connection.receive(atLeast: 1000, until: Self.limit) { $0.byteCount } == 3)
                #expect(
                    try await pair.server.connection.receive(atLeast: 1000, until: Self.limit) { $0.byteCount } == nil)
                #expect(try pair.server.connection.tryReceive { $0.byteCount } == .end)
            }
        }

        // MARK: Messages

        /// Small, aligned, larger than half the ring, larger than the ring; by turns with plain bytes.
        @Test(arguments: Medium.allCases, [false, true]) func messagesStayWhole(medium: Medium, isBlocking: Bool)
            async throws
        {
            let sizes = [0, 1, 8, 40, 41, 48, 63, 1023, 1024, 4096, 20_000, 32_700, 32_768, 65_536, 130_000, 5]
            try await Site.withPair(medium) { pair, _ in
                let (writer, reader) = (Worker(name: "writer"), Worker(name: "reader"))
                async let sent: Void = writer.run { () throws in
                    for (number, size) in (sizes + sizes).enumerated() {
                        let message = Pattern.part(number * 1000, size)
                        try message.withUnsafeBytes {
                            try pair.client.stream.sendMessageBlocking($0, until: Self.limit)
                        }
                    }
                    try [UInt8]([1, 2, 3]).withUnsafeBytes {
                        try pair.client.stream.sendBlocking($0, until: Self.limit)
                    }
                    pair.client.stream.finishSending()
                }
                if isBlocking {
                    try await reader.run { () throws in
                        for (number, size) in (sizes + sizes).enumerated() {
                            let isMessage = try pair.server.connection.receiveMessageBlocking(until: Self.limit) {
                                Self.check($0, number, size)
                            }
                            #expect(isMessage)
                        }
                    }
                } else {
                    for (number, size) in (sizes + sizes).enumerated() {
                        let isMessage = try await pair.server.connection.receiveMessage(until: Self.limit) {
                            Self.check($0, number, size)
                        }
                        #expect(isMessage)
                    }
                }
                #expect(try await pair.server.receive(exactly: 3) == [1, 2, 3])
                #expect(try await !pair.server.connection.receiveMessage(until: Self.limit) { _ in })
                try await sent
            }
        }

        private static func check(_ bytes: RawSpan, _ number: Int, _ size: Int) {
            let message = bytes.withUnsafeBytes { Array($0) }
            if message != Pattern.part(number * 1000, size) { Issue.record("message \(number) of \(size) is wrong") }
        }

        @Test(arguments: Medium.allCases) func messagesHaveALimit(medium: Medium) async throws {
            let site = try Site(medium) { $0.messageByteCountMax = 100 }
            let pair = try await site.connect()
            let long = [UInt8](repeating: 1, count: 101)
            #expect(
                await failure { () throws(SMCError) in
                    try await pair.client.connection.sendMessage(long.span.bytes)
                } == .tooLarge)
            // A peer that does not keep to it.
            let header = MessageHeader(messageByteCount: 101, at: 0).raw
            try await pair.client.connection.send(withUnsafeBytes(of: header) { Array($0) } + long)
            #expect(
                await failure { () throws(SMCError) in
                    try await pair.server.connection.receiveMessage(until: Self.limit) { _ in }
                } == .protocolViolation)
            await site.close()
        }

        /// Bytes that are no message, and a stream that ends within one.
        @Test(arguments: Medium.allCases, [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3], [50, 0, 0, 0, 0, 0x53, 0x4d, 1, 9]])
        func brokenMessagesAreViolations(medium: Medium, bytes: [UInt8]) async throws {
            try await Site.withPair(medium) { pair, _ in
                try await pair.client.connection.send(bytes)
                pair.client.connection.finishSending()
                #expect(
                    await failure { () throws(SMCError) in
                        try await pair.server.connection.receiveMessage(until: Self.limit) { _ in }
                    } == .protocolViolation)
            }
        }

        // MARK: Waiting

        /// Question and answer in every way to wait, on threads.
        @Test(arguments: Medium.allCases, SMC.Waiting.allCases)
        func everyWayToWaitWorks(medium: Medium, waiting: SMC.Waiting) async throws {
            try await Site.withPair(medium) { pair, _ in
                pair.client.connection.waiting = waiting
                pair.server.connection.waiting = waiting
                #expect(pair.client.connection.waiting == waiting)
                let (here, there) = (Worker(name: "asks"), Worker(name: "answers"))
                async let answered: Void = there.run { () throws in
                    while try pair.server.connection.receiveMessageBlocking(
                        until: Self.limit, { _ in })
                    {
                        try pair.server.connection.sendMessageBlocking([UInt8(1)].span.bytes, until: Self.limit)
                    }
                }
                try await here.run { () throws in
                    for number in 0..<300 {
                        try pair.client.connection.sendMessageBlocking(
                            [UInt8](repeating: 2, count: number).span.bytes, until: Self.limit)
                        let isAnswered = try pair.client.connection.receiveMessageBlocking(until: Self.limit) { _ in }
                        #expect(isAnswered)
                    }
                    pair.client.connection.finishSending()
                }
                try await answered
                if medium == .sharedMemory, waiting == .busyPoll {
                    #expect(pair.client.connection.signalCount == 0)
                    #expect(pair.server.connection.signalCount == 0)
                }
            }
        }

        /// Who asks for many bytes is woken once, by the last of them.
        @Test func aReaderOfMuchIsWokenOnce() async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                pair.server.connection.waiting = .blocking
                let reader = Worker(name: "reader")
                async let count = reader.run { () throws in
                    try pair.server.connection.receiveBlocking(atLeast: 20_000, until: Self.limit) { $0.byteCount }
                }
                try await Task.sleep(for: .milliseconds(50))
                for _ in 0..<20 { try await pair.client.connection.send([UInt8](repeating: 1, count: 1000)) }
                #expect(try await count == 20_000)
                // None if the reader was late.
                #expect(pair.client.connection.signalCount ?? 2 <= 1)
            }
        }

        /// A thread that sleeps on the shared word is found by whatever ends its wait.
        @Test(arguments: [false, true]) func sleepingThreadsAreWokenByTheEnd(isClosedHere: Bool) async throws {
            try await Site.withPair(.sharedMemory) { pair, _ in
                let client = pair.client
                client.connection.waiting = .blocking
                _ = try await client.fill()
                let (reader, writer) = (Worker(name: "reader"), Worker(name: "writer"))
                async let read = reader.run {
                    Self.code { () throws(SMCError) in
                        _ = try client.connection.receiveBlocking(until: Self.limit) { $0.byteCount }
                    }
                }
                async let written = writer.run {
                    Self.code { () throws(SMCError) in
                        try client.connection.sendBlocking([UInt8(1)].span.bytes, until: Self.limit)
                    }
                }
                try await Task.sleep(for: .milliseconds(50))
                if isClosedHere { client.connection.abort() } else { pair.serverSocket.shutdownBoth() }
                let expected: SMCError.Code = isClosedHere ? .closed : .peerGone
                #expect(await read == expected)
                #expect(await written == expected)
            }
        }

        private static func code(_ body: () throws(SMCError) -> Void) -> SMCError.Code? {
            do throws(SMCError) {
                try body()
                return nil
            } catch {
                return error.code
            }
        }
    }
}
