import Foundation

/// A process that we started, with what it writes.
final class Child {
    private let process = Process()
    private let output = Pipe()
    private var unread = Data()
    private let name: String

    init(_ executable: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        self.name = ([executable.split(separator: "/").last.map(String.init) ?? ""] + arguments).joined(separator: " ")
        self.process.executableURL = URL(filePath: executable)
        self.process.arguments = arguments
        self.process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        self.process.standardOutput = self.output
        self.process.standardInput = FileHandle.nullDevice
        try self.process.run()
    }

    /// The path of this program.
    static func ownPath() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }

    /// The next line; nil at the end.
    func line() -> String? {
        while true {
            if let end = self.unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { self.unread = self.unread[(end + 1)...] }
                return String(decoding: self.unread[..<end], as: UTF8.self)
            }
            let more = self.output.fileHandleForReading.availableData
            guard !more.isEmpty else { return nil }
            self.unread += more
        }
    }

    func lines() -> [String] {
        var lines: [String] = []
        while let line = self.line() { lines.append(line) }
        return lines
    }

    func waitUntilExit() throws {
        self.process.waitUntilExit()
        guard self.process.terminationStatus == 0 else {
            throw BenchmarkError("'\(self.name)' ended with \(self.process.terminationStatus)")
        }
    }

    var isRunning: Bool { self.process.isRunning }

    /// Ends it, if it runs.
    func end() {
        guard self.process.isRunning else { return }
        self.process.terminate()
        self.process.waitUntilExit()
    }

    /// Ends it, without a chance to refuse, unless the returned item is cancelled in time.
    func limit(seconds: Double) -> DispatchWorkItem {
        let identifier = self.process.processIdentifier
        let item = DispatchWorkItem { kill(identifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: item)
        return item
    }
}
