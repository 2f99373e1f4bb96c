import SMCSystem
import SMCTesting
import Testing

@testable import SMC

extension OneAtATime {
    /// Bytes come out as they went in, over every medium.
    @Suite(.timeLimit(.minutes(1))) struct StreamTests {
        private static let total = 1 << 20

        /// Random sizes, both ways at once.
        @Test(arguments: Medium.allCases, 0..<4) func bytesArriveInOrder(medium: Medium, seed: Int) async throws {
            try await Site.withPair(medium) { pair, _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (index, ends) in [(pair.client, pair.server), (pair.server, pair.client)].enumerated() {
                        let seed = UInt64(seed * 10 + index)
                        group.addTask { try await Self.send(ends.0.connection, seed) }
                        group.addTask { try await Self.receive(ends.1.connection, seed + 100) }
                    }
                    try await group.waitForAll()
                }
            }
        }

        private static func send(_ connection: Connection, _ seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            var sent = 0
            while sent < Self.total {
                let most = Bool.random(using: &random) ? 200 : Pattern.mostPerPart
                let count = min(Self.total - sent, Int.random(in: 0...most, using: &random))
                try await connection.send(Pattern.part(sent, count), until: .now.advanced(by: .seconds(20)))
                sent += count
            }
            connection.finishSending()
        }

        private static func receive(_ connection: Connection, _ seed: UInt64) async throws {
            var random = SeededGenerator(seed: seed)
            var received = 0
            while true {
                let most = Int.random(in: 1...Pattern.mostPerPart, using: &random)
                let limit = ContinuousClock.now.advanced(by: .seconds(20))
                guard let bytes = try await connection.receive(atMost: most, until: limit) else { break }
                guard !bytes.isEmpty, Pattern.matches(bytes, at: received) else {
                    Issue.record("\(bytes.count) wrong bytes at \(received), seed \(seed)")
                    return
                }
                received += bytes.count
            }
            #expect(received == Self.total, "seed \(seed)")
        }

        /// Threads that block, instead of tasks that wait.
        @Test(arguments: Medium.allCases) func blockingTwinsDoTheSame(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                let (writer, reader) = (Worker(name: "writer"), Worker(name: "reader"))
                async let sent: Void = writer.run { () throws in
                    for position in stride(from: 0, to: Self.total, by: 50_000) {
                        let bytes = Pattern.part(position, min(50_000, Self.total - position))
                        try bytes.withUnsafeBytes {
                            try pair.client.stream.sendBlocking($0, until: .now.advanced(by: .seconds(20)))
                        }
                    }
                    pair.client.stream.finishSending()
                }
                async let received = reader.run { () throws -> Int in
                    var position = 0
                    var bytes = [UInt8](repeating: 0, count: 30_000)
                    while true {
                        let count = try bytes.withUnsafeMutableBytes {
                            try pair.server.stream.receiveBlocking(into: $0, until: .now.advanced(by: .seconds(20)))
                        }
                        guard let count else { return position }
                        guard Pattern.matches(Array(bytes.prefix(count)), at: position) else { return -position }
                        position += count
                    }
                }
                try await sent
                #expect(try await received == Self.total)
            }
        }

        /// Question and answer: every byte waits for its peer, so that each sleeps and is woken again and again.
        @Test(arguments: Medium.allCases) func questionsAreAnswered(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                async let answered = Self.answer(pair.server.connection)
                for number in 0..<2000 {
                    try await pair.client.connection.send([UInt8(truncatingIfNeeded: number)])
                    // Sometimes late, so that the other side is asleep by then.
                    if number % 100 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                    let answer = try await pair.client.receive(exactly: 1)
                    guard answer == [UInt8(truncatingIfNeeded: number + 1)] else {
                        Issue.record("\(answer) to \(number)")
                        return
                    }
                }
                pair.client.connection.finishSending()
                #expect(try await answered == 2000)
            }
        }

        private static func answer(_ connection: Connection) async throws -> Int {
            var count = 0
            while let bytes = try await connection.receive(atMost: 10, until: .now.advanced(by: .seconds(20))) {
                try await connection.send(bytes.map { $0 &+ 1 })
                count += bytes.count
            }
            return count
        }

        @Test(arguments: Medium.allCases) func nothingIsNothing(medium: Medium) async throws {
            try await Site.withPair(medium) { pair, _ in
                try await pair.client.connection.send([])
                let limit = ContinuousClock.now.advanced(by: .seconds(5))
                #expect(try await pair.server.connection.receive(atMost: 0, until: limit) == [], "nothing has come")
                try await pair.client.connection.send([7])
                try await pair.client.connection.send([])
                #expect(try await pair.server.connection.receive(atMost: 0, until: limit) == [])
                #expect(try await pair.server.receive(exactly: 1) == [7])
                #expect(try await pair.server.connection.receive(atMost: 0, until: limit) == [])
            }
        }
    }
}
