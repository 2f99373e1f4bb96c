import Foundation

/// The state of the machine: numbers of different states must not be compared.
struct Machine: Codable {
    var processor: String
    var processors: Int
    var kernel: String
    var memoryGiB: Int
    /// Before and after the run.
    var load: [Double]
    /// Nanoseconds one way of a raw cache line, in each round: about 50 when the processors are near, 250 when far.
    var rawLine: [Double]
    var ucx: String
    var date: String

    init() {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model = info.split(separator: "\n").first { $0.hasPrefix("model name") }
        self.processor = model?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
        self.processors = ProcessInfo.processInfo.activeProcessorCount
        self.kernel =
            (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))?
            .trimmingCharacters(in: .newlines) ?? "unknown"
        self.memoryGiB = Int((Double(ProcessInfo.processInfo.physicalMemory) / Double(1 << 30)).rounded())
        self.load = [Self.loadNow]
        self.rawLine = []
        self.ucx = UCX.isThere ? "ucx_perftest of package ucx-utils" : "not installed"
        self.date = Date.now.ISO8601Format()
    }

    static var loadNow: Double {
        let text = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
        return text.split(separator: " ").first.flatMap { Double($0) } ?? 0
    }

    var summary: String {
        let near = self.rawLine.count { $0 < 120 }
        let far = self.rawLine.count { $0 >= 120 && $0 < 600 }
        let line = Spread(self.rawLine)
        return """
            \(self.processor), \(self.processors) processors, \(self.memoryGiB) GiB, Linux \(self.kernel), \(self.date)
            load \(self.load.map(Results.short).joined(separator: " -> ")); raw cache line one-way \
            \(Results.short(line.percentile(10)))/\(Results.short(line.percentile(50)))/\
            \(Results.short(line.percentile(90))) ns (p10/median/p90): near in \(near) rounds, far in \(far), \
            overloaded in \(self.rawLine.count - near - far)
            """
    }
}
