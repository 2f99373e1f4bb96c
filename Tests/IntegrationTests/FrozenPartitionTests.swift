import Foundation
import SMC
import SMCSystem
import Testing

/// A partition, or the hypervisor, stands still (SIGSTOP). A few seconds, so that the run does not take long;
/// `SMC_TEST_FREEZE_SECONDS=60` makes it a minute.
@Suite struct FrozenPartitionTests {
    private static var freezeTime: Duration {
        .seconds(ProcessInfo.processInfo.environment["SMC_TEST_FREEZE_SECONDS"].flatMap { Int($0) } ?? 3)
    }

    @Test func aFrozenPartitionHoldsNobodyUp() async throws {
        try await Scene.play(limit: 60 + Int(Self.freezeTime.components.seconds)) { scene in
            try await scene.hypervisor(pool: "64M")
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let frozen = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let bystander = try await EchoClient(scene, port: echo.port(), count: 4)
            let (partition, connection) = try await Self.connect(scene, frozen.port())
            try await Self.exchange(connection, [1, 2, 3])

            frozen.send(SIGSTOP)
            try await scene.until("it stands still") { Self.isStopped(frozen) }
            let end = ContinuousClock.now.advanced(by: Self.freezeTime)
            // What its peers ask of it ends by their deadlines, and says why.
            try await connection.send([4])
            await Self.expectTimeout { () async throws(SMCError) in
                _ = try await connection.receive(atMost: 1, until: .now.advanced(by: .milliseconds(200)))
            }
            await Self.expectTimeout { () async throws(SMCError) in
                let much = [UInt8](repeating: 0, count: 4 << 20)
                try await connection.send(much, until: .now.advanced(by: .milliseconds(200)))
            }
            let client = try await scene.smc("connect", "--timeout", "1", "127.0.0.1:\(frozen.port())")
            #expect(try await client.exit() == 5)
            #expect(client.errors.contains("did not go on in time"), "\(client.errors)")
            // Others connect, transfer and query all the time.
            var turns = 0
            while ContinuousClock.now < end || turns == 0 {
                let rounds = bystander.rounds
                let ping = try await scene.smc("ping", "--require", "shm", "--count", "10", "127.0.0.1:\(echo.port())")
                #expect(try await ping.exit() == 0, "\(ping.errors)")
                #expect(try await scene.books().partitions.count >= 4)
                try await scene.until("transfers go on") { zip(bystander.rounds, rounds).allSatisfy { $0 > $1 } }
                scene.forget(ping)
                turns += 1
            }
            #expect(bystander.failureCount == 0)

            frozen.send(SIGCONT)
            // The stream goes on where it was. How much of the large message went out is not known to us: all of it that
            // was sent comes back before the marker does.
            try await Self.expectMarker(connection)
            let ping = try await scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(frozen.port())")
            #expect(try await ping.exit() == 0, "\(ping.errors)")
            await connection.close()
            await partition.leave()
            #expect(await bystander.end { _ in .close } == [])
            await bystander.leave()
        }
    }

    /// Whoever needs the hypervisor falls back in time; all others do not even notice.
    @Test func aFrozenHypervisorHoldsUpNoConnection() async throws {
        try await Scene.play(limit: 90) { scene in
            let hypervisor = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let bystander = try await EchoClient(scene, port: echo.port(), count: 2)
            let (partition, first) = try await Self.connect(scene, echo.port())
            hypervisor.send(SIGSTOP)
            try await scene.until("it stands still") { Self.isStopped(hypervisor) }
            let rounds = bystander.rounds
            // Twenty at once: they do not wait for each other's calls, each of which takes its time to give up.
            let start = ContinuousClock.now
            let port = try await echo.port()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<20 as Range<UInt8> {
                    group.addTask {
                        let connection = try await partition.connect(to: "127.0.0.1", port: port)
                        #expect(connection.path == .tcp)
                        #expect(connection.decision.reason != nil)
                        try await Self.exchange(connection, [number])
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            // One after the other they would have taken twenty times two seconds on each side.
            #expect(ContinuousClock.now - start < .seconds(30))
            try await scene.until("established connections go on") {
                zip(bystander.rounds, rounds).allSatisfy { $0 > $1 }
            }
            hypervisor.send(SIGCONT)
            try await scene.until("shared memory is used again") {
                let again = try await partition.connect(to: "127.0.0.1", port: port)
                await again.close()
                return again.path == .sharedMemory
            }
            try await Self.exchange(first, [9])
            await first.close()
            await partition.leave()
            #expect(await bystander.end { _ in .close } == [])
            await bystander.leave()
        }
    }

    // MARK: Helpers

    /// Whether all its threads have stopped; they do so one by one, a moment after the signal.
    private static func isStopped(_ program: Program) -> Bool {
        let tasks = "/proc/\(program.processID)/task"
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
        return !threads.isEmpty
            && threads.allSatisfy { thread in
                let line = (try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8)) ?? ""
                return line.split(separator: ")").last?.split(separator: " ").first == "T"
            }
    }

    private static func connect(_ scene: Scene, _ port: Int) async throws -> (Partition, Connection) {
        var configuration = Configuration()
        configuration.hypervisor = .socket(scene.socket)
        configuration.paths = [.sharedMemory, .tcp]
        let partition = try await Partition.join(configuration)
        let connection = try await partition.connect(to: "127.0.0.1", port: port)
        #expect(connection.path == .sharedMemory)
        return (partition, connection)
    }

    private static func exchange(_ connection: Connection, _ bytes: [UInt8]) async throws {
        try await connection.send(bytes)
        var answer: [UInt8] = []
        while answer.count < bytes.count {
            let limit = ContinuousClock.now.advanced(by: .seconds(30))
            guard let more = try await connection.receive(atMost: bytes.count - answer.count, until: limit) else {
                throw Scene.Trouble(description: "the end came early")
            }
            answer += more
        }
        #expect(answer == bytes)
    }

    private static func expectTimeout(_ body: () async throws(SMCError) -> Void) async {
        do throws(SMCError) {
            try await body()
            Issue.record("it did not time out")
        } catch {
            #expect(error.code == .timedOut, "\(error)")
        }
    }

    /// Sends a marker behind what was sent before, reading meanwhile so that there is room for it.
    private static func expectMarker(_ connection: Connection) async throws {
        let limit = ContinuousClock.now.advanced(by: .seconds(30))
        async let sent: Void = connection.send([0xff], until: limit)
        var last: UInt8 = 0
        while last != 0xff {
            guard let more = try await connection.receive(atMost: 65_536, until: limit), let end = more.last else {
                throw Scene.Trouble(description: "the end came early")
            }
            last = end
        }
        try await sent
    }
}
