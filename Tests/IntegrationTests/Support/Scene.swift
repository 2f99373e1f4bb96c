import Foundation
import Synchronization

/// Where a test plays: a private directory, a hypervisor of its own, and programs. Nothing of it outlives the test.
final class Scene: Sendable {
    let directory: String
    private let programs = Mutex<[Program]>([])
    private let startedCount = Atomic<Int>(0)
    private let hasTimedOut = Atomic<Bool>(false)

    /// What went wrong with the scene itself, not with what the test asserts.
    struct Trouble: Error, CustomStringConvertible {
        var description: String
    }

    private init() throws {
        self.directory = "/tmp/smc-test-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(
            atPath: self.directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    /// Sets a scene, plays it, and clears it away, whatever happens.
    ///
    /// - Parameters:
    ///   - limit: seconds after which every program is killed, so that nothing can hang.
    ///   - isAlone: whether no other scene plays meanwhile, for tests with bounds on time.
    static func play(
        limit: Int = 40, isAlone: Bool = false, _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        try await Task(executorPreference: SceneThread.shared) {
            let places = isAlone ? Stage.placeCount : 1
            await Stage.shared.enter(places)
            do {
                try await Self.playOnStage(limit, body)
            } catch {
                await Stage.shared.leave(places)
                throw error
            }
            await Stage.shared.leave(places)
        }.value
    }

    private static func playOnStage(
        _ limit: Int, _ body: @escaping @Sendable (Scene) async throws -> Void
    ) async throws {
        let scene = try Scene()
        let play = Task(executorPreference: SceneThread.shared) { try await body(scene) }
        let watchdog = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "watchdog"))
        watchdog.schedule(deadline: .now() + .seconds(limit))
        watchdog.setEventHandler {
            scene.runOutOfTime()
            play.cancel()
        }
        watchdog.activate()
        var failure: (any Error)?
        do {
            try await play.value
        } catch {
            failure = error
        }
        watchdog.cancel()
        let said = scene.programs.withLock { $0.map(\.summary) }.joined(separator: "\n")
        await scene.clear()
        if scene.hasTimedOut.load(ordering: .relaxed) {
            throw Trouble(description: "not over within \(limit) s (\(failure.map { "\($0)" } ?? "-"))\n\(said)")
        }
        if let failure { throw Trouble(description: "\(failure)\n\(said)") }
    }

    private func runOutOfTime() {
        self.hasTimedOut.store(true, ordering: .relaxed)
        for program in self.programs.withLock({ $0 }) { program.send(SIGKILL) }
    }

    private func clear() async {
        let programs = self.programs.withLock { $0 }
        for program in programs { program.send(SIGKILL) }
        for program in programs { _ = try? await program.exit() }
        // A hypervisor that started by itself belongs to nobody: its lock file names nobody, but its command line does.
        for processID in Self.processes(mentioning: self.directory) { kill(processID, SIGKILL) }
        try? FileManager.default.removeItem(atPath: self.directory)
    }

    /// Processes whose command line names something.
    static func processes(mentioning text: String) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { processID in
            guard processID != getpid(), let data = FileManager.default.contents(atPath: "/proc/\(processID)/cmdline")
            else { return false }
            return String(decoding: data, as: UTF8.self).contains(text)
        }
    }

    /// A file of the scene.
    func path(_ name: String) -> String { "\(self.directory)/\(name)" }

    // MARK: Programs

    /// Starts any program.
    func start(
        _ executable: String, _ arguments: [String], input: Program.Input = .nothing,
        output: Program.Output = .file, environment: [String: String] = [:]
    ) throws -> Program {
        if self.hasTimedOut.load(ordering: .relaxed) { throw Trouble(description: "the time is up") }
        let number = self.startedCount.wrappingAdd(1, ordering: .relaxed).newValue
        let program = try Program(
            executable, arguments, path: self.path("program-\(number)"), input: input, output: output,
            environment: environment)
        self.programs.withLock { $0.append(program) }
        return program
    }

    /// Starts `smc` with the scene's hypervisor, if the command takes one.
    func smc(
        _ arguments: String..., hypervisor: String? = nil, input: Program.Input = .nothing,
        output: Program.Output = .file
    ) throws -> Program {
        var all = arguments
        if ["listen", "connect", "ping"].contains(arguments.first) {
            all.insert(contentsOf: ["--hypervisor", hypervisor ?? self.socket], at: 1)
        }
        return try self.start(Program.smc, all, input: input, output: output)
    }

    /// The hypervisor's socket.
    var socket: String { self.path("h.sock") }

    /// Starts the scene's hypervisor and waits until it answers.
    @discardableResult
    func hypervisor(pool: String = "64M", _ more: String...) async throws -> Program {
        let program = try self.start(
            Program.smc, ["hypervisor", "--socket", self.socket, "--pool", pool, "--quiet"] + more)
        try await self.until("the hypervisor answers") { (try? await self.books()) != nil }
        return program
    }

    /// What `smc status --json` says.
    func books() async throws -> Books {
        let status = try self.start(Program.smc, ["status", "--socket", self.socket, "--json"])
        let code = try await status.exit()
        // There may be hundreds of them, and none is of interest any more.
        self.programs.withLock { $0.removeAll { $0 === status } }
        guard code == 0 else { throw Trouble(description: "no status: \(status.errors)") }
        return try JSONDecoder().decode(Books.self, from: status.outputData)
    }

    /// Programs that have ended and are of no interest any more: some tests start hundreds.
    func forget(_ ended: Program...) {
        self.programs.withLock { programs in programs.removeAll { program in ended.contains { $0 === program } } }
        for program in ended {
            try? FileManager.default.removeItem(atPath: program.outputPath)
            try? FileManager.default.removeItem(atPath: program.errorsPath)
        }
    }

    // MARK: Waiting

    /// Looks again and again, until the watchdog bites.
    func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        while try await !condition() {
            if self.hasTimedOut.load(ordering: .relaxed) { throw Trouble(description: "waited in vain: \(what)") }
            try await SceneThread.shared.sleep(milliseconds: 10)
        }
    }
}

/// The part of the hypervisor's books that a finished connection must leave as it found it.
struct Books: Decodable, Equatable {
    struct Pool: Decodable, Equatable {
        var ringByteCount: Int
        var free: Int
        var reclaiming: Int
    }
    struct Partition: Decodable, Equatable {
        var name: String
        var processID: Int32
    }
    struct Buffer: Decodable, Equatable {
        var state: String
    }
    struct Connection: Decodable, Equatable {
        var path: String
        var reason: String?
    }
    var pools: [Pool]
    var partitions: [Partition]
    var smbs: [Buffer]
    var connections: [Connection]
}

/// Lets only so many scenes play at once as two processors bear.
actor Stage {
    static let shared = Stage()
    static let placeCount = 4

    private var free = Stage.placeCount
    private var waiting: [(places: Int, continuation: CheckedContinuation<Void, Never>)] = []

    func enter(_ places: Int) async {
        if self.waiting.isEmpty, self.free >= places {
            self.free -= places
            return
        }
        await withCheckedContinuation { self.waiting.append((places, $0)) }
    }

    func leave(_ places: Int) {
        self.free += places
        while let next = self.waiting.first, self.free >= next.places {
            self.free -= next.places
            self.waiting.removeFirst()
            next.continuation.resume()
        }
    }
}
