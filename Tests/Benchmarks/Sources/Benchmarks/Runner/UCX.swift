import Foundation

/// UCX's own benchmark over shared memory.
enum UCX {
    static let path = "/usr/bin/ucx_perftest"
    static let isThere = FileManager.default.isExecutableFile(atPath: Self.path)

    static func run(_ measurement: Measurement, count: Int, port: Int, processors: [Int?]) throws -> Double {
        guard Self.isThere else { throw BenchmarkError("ucx_perftest is not installed: apt-get install ucx-utils") }
        let streams = measurement.pattern == .stream
        let test =
            switch measurement.contender {
            case .ucxStream: streams ? "stream_bw" : "stream_lat"
            case .ucxActiveMessage: streams ? "ucp_am_bw" : "ucp_am_lat"
            default: streams ? "tag_bw" : "tag_lat"
            }
        let arguments = [
            "-t", test, "-s", "\(measurement.size)", "-n", "\(count)", "-w", "\(max(10, count / 20))", "-p", "\(port)",
            "-f", "-v",
        ]
        // Shared memory and nothing else; UCX may choose among its kinds (posix, sysv, and cma for large messages).
        let environment = ["UCX_TLS": "shm,self", "UCX_LOG_LEVEL": "error"]
        func pin(_ index: Int) -> [String] { processors[index].map { ["-c", "\($0)"] } ?? [] }
        let server = try Child(Self.path, arguments + pin(1), environment: environment)
        let limit = server.limit(seconds: 30)
        defer {
            limit.cancel()
            server.end()
        }
        try Self.waitForListener(port: port, server)
        let client = try Child(Self.path, ["127.0.0.1"] + arguments + pin(0), environment: environment)
        let clientLimit = client.limit(seconds: 30)
        defer { clientLimit.cancel() }
        let lines = client.lines()
        try client.waitUntilExit()
        // iterations, p50 latency, average latency, overall latency (us), bandwidths (MiB/s), message rates (1/s)
        let fields = lines.last { $0.first?.isNumber == true }?.split(separator: ",") ?? []
        guard fields.count == 8, let latency = Double(fields[3]), let rate = Double(fields[7]) else {
            throw BenchmarkError("ucx_perftest -t \(test) said: \(lines.joined(separator: "; "))")
        }
        return streams ? 1e9 / rate : latency * 1000
    }

    private static func waitForListener(port: Int, _ server: Child) throws {
        let needle = String(format: ":%04X 00000000:0000 0A", port)
        let deadline = Date.now + 10
        while !((try? String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)) ?? "").contains(needle) {
            guard server.isRunning, Date.now < deadline else { throw BenchmarkError("ucx_perftest does not start") }
            usleep(5000)
        }
    }
}
