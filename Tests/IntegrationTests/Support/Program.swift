import Foundation
import Synchronization

/// A process that a test started. What it says goes to files, so that no pipe can fill up.
final class Program: Sendable {
    /// What a program reads.
    enum Input {
        case nothing
        case file(String)
        /// A pipe that the test writes to, and that stays open until it closes it.
        case pipe
    }

    /// Where a program's standard output goes.
    enum Output {
        case file
        /// A pipe that nobody reads any more.
        case brokenPipe
    }

    /// Where the programs under test are: beside the test bundle, or where the variable says, for programs that were
    /// built in another way.
    private static let folder: String = {
        if let folder = ProcessInfo.processInfo.environment["SMC_TEST_PROGRAMS"] { return folder }
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (bundle as NSString).deletingLastPathComponent
    }()
    static let smc = Program.folder + "/smc"
    static let hostilePeer = Program.folder + "/hostile-peer"
    static let hypervisorLoad = Program.folder + "/hypervisor-load"

    private let process = Process()
    private let command: String
    private let inputPipe: Pipe?
    let outputPath: String
    let errorsPath: String

    fileprivate static let startLock = NSLock()

    init(
        _ executable: String, _ arguments: [String], path: String, input: Input, output: Output,
        environment: [String: String]
    ) throws {
        self.command = "\((executable as NSString).lastPathComponent) \(arguments.joined(separator: " "))"
        self.outputPath = path + ".out"
        self.errorsPath = path + ".err"
        self.process.executableURL = URL(fileURLWithPath: executable)
        self.process.arguments = arguments
        self.process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        switch input {
        case .nothing:
            self.inputPipe = nil
            self.process.standardInput = FileHandle.nullDevice
        case .file(let path):
            self.inputPipe = nil
            self.process.standardInput = try Self.open(path, O_RDONLY)
        case .pipe:
            let pipe = Pipe()
            self.inputPipe = pipe
            self.process.standardInput = pipe
        }
        switch output {
        case .file: self.process.standardOutput = try Self.open(self.outputPath, O_WRONLY | O_CREAT)
        case .brokenPipe:
            let pipe = Pipe()
            try pipe.fileHandleForReading.close()
            self.process.standardOutput = pipe.fileHandleForWriting
        }
        self.process.standardError = try Self.open(self.errorsPath, O_WRONLY | O_CREAT | O_APPEND)
        // One at a time: Foundation's Process is not made for many threads.
        try Self.startLock.withLock { try self.process.run() }
        // Foundation keeps the handles of a process that has ended.
        for case let file as FileHandle in [self.process.standardOutput, self.process.standardError] {
            try file.close()
        }
    }

    private static func open(_ path: String, _ flags: Int32) throws -> FileHandle {
        let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Scene.Trouble(description: "cannot open \(path)") }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    var processID: Int32 { self.process.processIdentifier }
    var isRunning: Bool { self.process.isRunning }

    // MARK: Talking to it

    func send(_ signal: Int32) {
        // A process that was waited for has no identifier any more.
        if self.process.isRunning { kill(self.processID, signal) }
    }

    func write(_ bytes: some Sequence<UInt8>) throws {
        try self.inputPipe?.fileHandleForWriting.write(contentsOf: Data(bytes))
    }

    func closeInput() throws {
        try self.inputPipe?.fileHandleForWriting.close()
    }

    /// Waits until it has ended.
    ///
    /// - Returns: its exit code, or 128 and the number of the signal that ended it.
    func exit() async throws -> Int32 {
        while self.process.isRunning { try await SceneThread.shared.sleep(milliseconds: 5) }
        let status = self.process.terminationStatus
        return self.process.terminationReason == .uncaughtSignal ? 128 + status : status
    }

    // MARK: What it said

    var outputData: Data { FileManager.default.contents(atPath: self.outputPath) ?? Data() }
    var output: String { String(decoding: self.outputData, as: UTF8.self) }
    var errors: String {
        String(decoding: FileManager.default.contents(atPath: self.errorsPath) ?? Data(), as: UTF8.self)
    }
    var errorLines: [String] { self.errors.split(separator: "\n").map(String.init) }

    /// Waits for a whole line on standard error that contains `text`.
    func line(_ text: String) async throws -> String {
        while true {
            let isRunning = self.process.isRunning
            let errors = self.errors
            for line in errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            where line.contains(text) { return String(line) }
            guard isRunning else {
                throw Scene.Trouble(description: "\(self.command) ended without saying '\(text)': \(errors)")
            }
            try await SceneThread.shared.sleep(milliseconds: 5)
        }
    }

    /// The port that a listener says it listens on.
    func port() async throws -> Int {
        let line = try await self.line("listening on ")
        guard let text = line.split(separator: ":").last, let port = Int(text) else {
            throw Scene.Trouble(description: "no port in '\(line)'")
        }
        return port
    }

    /// The last line on standard error, as JSON.
    func json() throws -> [String: JSONValue] {
        guard let line = self.errorLines.last else { throw Scene.Trouble(description: "\(self.command) said nothing") }
        return try JSONDecoder().decode([String: JSONValue].self, from: Data(line.utf8))
    }

    /// How many descriptors it has open.
    var descriptorCount: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(self.processID)/fd").count) ?? 0
    }

    /// Seconds of processor time that it has used.
    var processorSeconds: Double {
        let text = (try? String(contentsOfFile: "/proc/\(self.processID)/stat", encoding: .utf8)) ?? ""
        // Behind the name, which may hold anything but is in parentheses: state is the third field, utime the 14th.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// For the message of a failed test.
    var summary: String {
        let end = self.process.isRunning ? "running" : "ended with \(self.process.terminationStatus)"
        return "  $ \(self.command)   [\(end)]\n" + self.errorLines.suffix(5).map { "    \($0)\n" }.joined()
    }
}

/// A value of a JSON object.
enum JSONValue: Decodable, Equatable {
    case null
    case number(Double)
    case text(String)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }
}
