import Foundation
import SMC
import SMCControl
import SMCSystem
import SMCWire
import Synchronization
import Testing

/// A hypervisor is killed while connections run, and another one takes its place.
@Suite struct ReregistrationTests {
    private static let connectionCount = 100

    @Test func aHundredConnectionsOutliveTheHypervisorAndAreInTheNextOnesBooks() async throws {
        try await Scene.play(limit: 120, isAlone: true) { scene in
            let first = try await scene.hypervisor(pool: "128M")
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let client = try await EchoClient(scene, port: echo.port(), count: Self.connectionCount)
            let descriptorCount = echo.descriptorCount
            try await scene.until("all run") { client.rounds.allSatisfy { $0 > 0 } }
            let before = try Self.books(scene)
            Self.expectAllAccepted(before)

            first.send(SIGKILL)
            _ = try await first.exit()
            let atDeath = client.rounds
            try await scene.until("all go on without a hypervisor") {
                zip(client.rounds, atDeath).allSatisfy { $0 > $1 }
            }
            let second = try await scene.hypervisor(pool: "128M")
            try await scene.until("all have re-registered") {
                let books = try Self.books(scene)
                return books.partitions.count == 2 && books.connections.count == 2 * Self.connectionCount
            }
            let after = try Self.books(scene)
            Self.expectAllAccepted(after)
            #expect(after.vlans.map(\.usedByteCount) == before.vlans.map(\.usedByteCount), "counted as before")
            #expect(after.pools.allSatisfy { $0.freeCount == $0.blockCount }, "none of it is of the new pool")
            #expect(Set(after.connections.map(\.report.path)) == ["shared-memory"])

            let atRestart = client.rounds
            try await scene.until("all go on") { zip(client.rounds, atRestart).allSatisfy { $0 > $1 } }
            let ping = try await scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(echo.port())")
            #expect(try await ping.exit() == 0, "a new connection finds the new hypervisor: \(ping.errors)")

            // In all orders: the client first, the server first, both at once.
            let failures = await client.end { number in [EchoClient.Ending.close, .halfClose, .abort][number % 3] }
            #expect(failures.isEmpty, "\(failures)")
            try await scene.until("all is given back") {
                let books = try Self.books(scene)
                return books.smbs.isEmpty && books.connections.isEmpty
                    && books.vlans.allSatisfy { $0.usedByteCount == 0 }
            }
            // The memory of the first hypervisor is nobody's: no descriptor of it is left.
            try await scene.until("descriptors are closed") {
                Self.memoryFiles(of: second.processID) <= after.pools.reduce(0) { $0 + $1.blockCount } + 2
            }
            try await scene.until("the listener's, too") {
                echo.descriptorCount < descriptorCount - Self.connectionCount
            }
            await client.leave()
        }
    }

    /// After re-registering, death and closing are as ever.
    @Test(arguments: [true, false]) func oneEndDiesAfterwards(closesBeforeReturn: Bool) async throws {
        try await Scene.play(limit: 60) { scene in
            let first = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let client = try await EchoClient(scene, port: echo.port(), count: 3)
            try await scene.until("all run") { client.rounds.allSatisfy { $0 > 0 } }
            first.send(SIGKILL)
            _ = try await first.exit()
            if closesBeforeReturn {
                // Nobody is there who could be told; there is nothing to re-register either.
                echo.send(SIGKILL)
                _ = try await echo.exit()
                try await scene.hypervisor()
                try await scene.until("the survivor shows what it still has") {
                    try Self.books(scene).smbs.count == 6
                }
                let states = Set(try Self.books(scene).smbs.map(\.state))
                #expect(states == [.created, .orphaned], "each side's SMBs without the other side: \(states)")
            } else {
                try await scene.hypervisor()
                try await scene.until("all have re-registered") { try Self.books(scene).smbs.count == 6 }
                try await scene.until("both sides have") { try Self.books(scene).partitions.count == 2 }
                try await scene.until("each SMB has both") {
                    try Self.books(scene).smbs.allSatisfy { $0.state == .accepted }
                }
                echo.send(SIGKILL)
                _ = try await echo.exit()
                try await scene.until("the hypervisor knows") { try Self.books(scene).partitions.count == 1 }
            }
            try await scene.until("the survivor has learnt it") { client.failureCount == 3 }
            _ = await client.end { _ in .close }
            try await scene.until("all is given back") {
                let books = try Self.books(scene)
                return books.smbs.isEmpty && books.vlans.allSatisfy { $0.usedByteCount == 0 }
            }
            await client.leave()
        }
    }

    static func books(_ scene: Scene) throws -> HypervisorStatus {
        try HypervisorSession.connect(socketPath: scene.socket).status()
    }

    private static func expectAllAccepted(_ books: HypervisorStatus) {
        #expect(books.smbs.count == 2 * Self.connectionCount)
        #expect(
            books.smbs.allSatisfy { $0.state == .accepted && $0.owner != nil && $0.peer != nil && $0.owner != $0.peer })
        let owners = Dictionary(grouping: books.smbs) { $0.owner }.mapValues(\.count)
        #expect(owners.values.sorted() == [Self.connectionCount, Self.connectionCount])
    }

    /// How many memory files a process has open.
    static func memoryFiles(of processID: Int32) -> Int {
        let directory = "/proc/\(processID)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.count {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\($0)"))?.contains("/memfd:")
                == true
        }
    }
}

/// Connections of the test's own process to a listener that echoes, each sending and checking until it is told to end.
final class EchoClient: Sendable {
    enum Ending {
        /// Closes without waiting for the peer.
        case close
        /// Waits until the peer has closed.
        case halfClose
        case abort
    }

    private let partition: Partition
    private let connections: [Connection]
    private let state: Mutex<State>
    private let isOver = Atomic<Bool>(false)
    private let work = Mutex<[Task<Void, Never>]>([])

    private struct State {
        var rounds: [Int]
        var failures: [String] = []
    }

    init(_ scene: Scene, port: Int, count: Int) async throws {
        var configuration = Configuration()
        configuration.hypervisor = .socket(scene.socket)
        configuration.name = "echo client"
        configuration.paths = [.sharedMemory, .tcp]
        configuration.sharedMemoryRingByteCount = 65_536
        self.partition = try await Partition.join(configuration)
        self.state = Mutex(State(rounds: Array(repeating: 0, count: count)))
        var connections: [Connection] = []
        for _ in 0..<count { connections.append(try await self.partition.connect(to: "127.0.0.1", port: port)) }
        #expect(connections.allSatisfy { $0.path == .sharedMemory }, "\(connections.compactMap { $0.decision.reason })")
        self.connections = connections
        for number in 0..<count {
            // On the thread of scenes: those that Swift gives to tasks may all be computing.
            let task = Task(executorPreference: SceneThread.shared) { await self.run(number) }
            self.work.withLock { $0.append(task) }
        }
    }

    /// Round trips of each connection so far.
    var rounds: [Int] { self.state.withLock { $0.rounds } }
    var failureCount: Int { self.state.withLock { $0.failures.count } }

    private func run(_ number: Int) async {
        let connection = self.connections[number]
        var round = 0
        do {
            while !self.isOver.load(ordering: .acquiring) {
                let message = (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number &+ round) }
                try await connection.send(message)
                var answer: [UInt8] = []
                while answer.count < message.count {
                    let limit = ContinuousClock.now.advanced(by: .seconds(60))
                    guard let more = try await connection.receive(atMost: message.count - answer.count, until: limit)
                    else { throw Scene.Trouble(description: "the end came early") }
                    answer += more
                }
                guard answer == message else { throw Scene.Trouble(description: "came back changed") }
                round += 1
                self.state.withLock { $0.rounds[number] = round }
                try await SceneThread.shared.sleep(milliseconds: 20)
            }
        } catch {
            self.state.withLock { $0.failures.append("connection \(number), round \(round): \(error)") }
        }
    }

    /// Ends all connections.
    ///
    /// - Returns: what had gone wrong.
    func end(_ ending: (Int) -> Ending) async -> [String] {
        self.isOver.store(true, ordering: .releasing)
        for task in self.work.withLock({ $0 }) { await task.value }
        for (number, connection) in self.connections.enumerated() {
            switch ending(number) {
            case .close: await connection.close()
            case .abort: connection.abort()
            case .halfClose:
                connection.finishSending()
                let limit = ContinuousClock.now.advanced(by: .seconds(60))
                _ = try? await connection.receive(atMost: 1, until: limit)
                await connection.close()
            }
        }
        return self.state.withLock { $0.failures }
    }

    func leave() async { await self.partition.leave() }
}
