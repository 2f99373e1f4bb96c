import CBaseline
import Foundation

/// Makes measurements: starts the two processes of each, on processors of their own if there are two, and reads what
/// they found.
final class Laboratory {
    private let executable: String
    private let unchecked: String
    private let hypervisor: HypervisorProcess
    private var nextName = 0
    /// Steps that a measurement takes for `duration`.
    private var counts: [Measurement: Int] = [:]
    private let duration: Double
    private let processors: [Int?]

    /// - Parameters:
    ///   - smc: the program that has the hypervisor.
    ///   - unchecked: this program, built without validation.
    ///   - duration: seconds that one measurement should take.
    init(smc: String, unchecked: String, duration: Double) throws {
        self.executable = try Child.ownPath()
        self.unchecked = unchecked
        self.duration = duration
        self.processors = ProcessInfo.processInfo.activeProcessorCount > 1 ? [0, 1] : [nil, nil]
        self.hypervisor = try HypervisorProcess(smc: smc)
    }

    /// Nanoseconds for one operation.
    func measure(_ measurement: Measurement) throws -> Double {
        if self.counts[measurement] == nil {
            // The first try says how many steps fill the time.
            let first = try self.run(measurement, count: measurement.pattern.firstCount)
            let perStep = first * measurement.pattern.operationsPerStep + measurement.pattern.pauseNanoseconds
            let count = Int(self.duration * 1e9 / perStep)
            self.counts[measurement] = min(max(count, measurement.pattern.firstCount / 10), 20_000_000)
        }
        let count = self.counts[measurement] ?? 1
        return try self.run(measurement, count: count)
    }

    private func run(_ measurement: Measurement, count: Int) throws -> Double {
        self.nextName += 1
        return try measurement.contender.isUCX
            ? UCX.run(measurement, count: count, port: 13_400 + self.nextName % 1000, processors: self.processors)
            : self.runPair(measurement, count: count)
    }

    private func runPair(_ measurement: Measurement, count: Int) throws -> Double {
        let name = self.hypervisor.folder.appending(path: "\(self.nextName)").path
        var place = name
        var memory: Int32 = -1
        defer { if memory >= 0 { close(memory) } }
        switch measurement.contender {
        case .ours, .unchecked: place = self.hypervisor.socket
        case .ring, .line, .futex:
            memory = Int32(try check(Int64(baseline_memory_file(baseline_ring_memory_size)), "make memory"))
            place = "/proc/\(getpid())/fd/\(memory)"
        case .pipe:
            for end in [".there", ".back"] where mkfifo(name + end, 0o600) != 0 {
                throw BenchmarkError("cannot make a pipe in \(self.hypervisor.folder.path)")
            }
        default: break
        }
        let arguments = [
            "peer", "--contender", measurement.contender.rawValue, "--pattern", measurement.pattern.rawValue,
            "--size", "\(measurement.size)", "--count", "\(count)", "--place", place,
        ]
        let program = measurement.contender == .unchecked ? self.unchecked : self.executable
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw BenchmarkError("\(program) is missing: 'make bench' builds it")
        }
        guard measurement.contender != .memcpy else {
            return try self.results(of: [Child(program, arguments + self.processor(0))])
        }
        let server = try Child(program, arguments + ["--serves"] + self.processor(1))
        defer { server.end() }
        guard let ready = server.line(), ready.hasPrefix("ready "), let port = Int(ready.dropFirst(6)) else {
            throw BenchmarkError("the server of \(measurement) did not start")
        }
        let client = try Child(program, arguments + ["--port", "\(port)"] + self.processor(0))
        defer { client.end() }
        return try self.results(of: [client, server])
    }

    private func processor(_ index: Int) -> [String] {
        self.processors[index].map { ["--processor", "\($0)"] } ?? []
    }

    /// Waits for both, each with a limit, for the one line with a result.
    private func results(of children: [Child]) throws -> Double {
        let limits = children.map { $0.limit(seconds: 30) }
        defer { for limit in limits { limit.cancel() } }
        let lines = children.flatMap { $0.lines() }
        for child in children { try child.waitUntilExit() }
        guard let line = lines.first(where: { $0.hasPrefix("result ") }), let value = Double(line.dropFirst(7)) else {
            throw BenchmarkError("no result, but: \(lines.joined(separator: "; "))")
        }
        return value
    }
}

extension Pattern {
    /// What a step takes beside the operation.
    var pauseNanoseconds: Double { self == .wake ? 2_200_000 : 0 }
}
