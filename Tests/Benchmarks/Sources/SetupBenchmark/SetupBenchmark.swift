import ArgumentParser
import Foundation
import SMC

/// How long it takes to set a connection up: from the call that connects to the first byte that the server sends.
///
/// Over shared memory through a hypervisor, and over TCP with the bare calls of the kernel; by turns in one run, so that
/// both see the same machine.
@main
struct SetupBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup-benchmark",
        abstract: "Measure connect to first byte over shared memory against TCP on loopback.")

    @Option(help: "The smc program, for its hypervisor.") var smc: String
    @Option(help: "Rounds; each connects so many times by every way.") var rounds = 40
    @Option(help: "Connections by each way in a round.") var perRound = 25
    @Option(help: .hidden) var serve: String?

    /// One way to connect; connects, receives one byte, takes the time, and closes.
    private struct Way {
        let name: String
        var microseconds: [Double] = []
        let connect: () async throws -> Duration
    }

    func run() async throws {
        if let serve { return try await Server.run(serve) }
        let directory = FileManager.default.temporaryDirectory.appending(path: "smc-test-setup-\(getpid())")
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(at: directory) }
        let socket = directory.appending(path: "h.sock").path
        let hypervisor = try Self.start(self.smc, ["hypervisor", "--quiet", "--socket", socket, "--pool", "64M"])
        defer { hypervisor.terminate() }
        while !FileManager.default.fileExists(atPath: socket) { usleep(1000) }
        let output = Pipe()
        let server = try Self.start("/proc/self/exe", ["--smc", self.smc, "--serve", socket], output)
        defer { server.terminate() }
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        let ports = line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard ports.count == 2 else { throw ValidationError("the server did not start: \(line)") }
        try await self.measure(Self.ways(socket, ports))
    }

    private static func start(_ program: String, _ arguments: [String], _ output: Pipe? = nil) throws -> Process {
        let process = Process()
        // Its own path, not that of whoever starts it.
        process.executableURL = URL(filePath: program).resolvingSymlinksInPath()
        process.arguments = arguments
        if let output { process.standardOutput = output }
        try process.run()
        return process
    }

    private static func ways(_ socket: String, _ ports: [Int]) async throws -> [Way] {
        var configuration = Configuration()
        configuration.hypervisor = .socket(socket)
        configuration.paths = [.sharedMemory, .tcp]
        let memory = try await Partition.join(configuration)
        return [
            Way(name: "shared memory") { try await Self.connect(memory, ports[0]) },
            Way(name: "TCP, the kernel's calls") { try BareTCP.connect(ports[1]) },
        ]
    }

    private static func connect(_ partition: Partition, _ port: Int) async throws -> Duration {
        let start = ContinuousClock.now
        let connection = try await partition.connect(to: "127.0.0.1", port: port)
        let byte = try await connection.receive(atMost: 1)
        let duration = ContinuousClock.now - start
        guard byte == [7], connection.path == .sharedMemory else {
            throw ValidationError("not over shared memory: \(connection.path.rawValue)")
        }
        await connection.close()
        return duration
    }

    private func measure(_ start: [Way]) async throws {
        var ways = start
        for round in 0...self.rounds {
            for index in ways.indices {
                for _ in 0..<self.perRound {
                    let duration = try await ways[index].connect()
                    // The first round warms everything up.
                    if round > 0 { ways[index].microseconds.append(duration / .microseconds(1)) }
                }
            }
        }
        let base = Self.quantile(ways[ways.count - 1].microseconds, 0.5)
        print("| connect to first byte | p50 us | p90 us | p99 us | times the kernel's TCP |")
        print("|---|---|---|---|---|")
        for way in ways {
            let values = [0.5, 0.9, 0.99].map { Self.quantile(way.microseconds, $0) }
            let cells = values.map { String(format: "%.1f", $0) } + [String(format: "%.2f", values[0] / base)]
            print("| \(way.name) | \(cells.joined(separator: " | ")) |")
        }
    }

    private static func quantile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}
