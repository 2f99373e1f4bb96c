/// How much memory this process can take before the kernel must kill somebody for it.
///
/// A program that takes more is not refused: the kernel's out-of-memory killer ends it, or another. So it looks first.
package struct MemoryBudget: Hashable, Sendable {
    package var byteCount: Int
    /// What sets the bound, for people: the machine, or a control group and its file.
    package var limitedBy: String

    package init(byteCount: Int, limitedBy: String) {
        self.byteCount = byteCount
        self.limitedBy = limitedBy
    }

    /// Looks at the machine's free memory and at the limits of all control groups that this process is in, of both
    /// versions. What cannot be read limits nothing.
    ///
    /// - Parameter root: where /proc and /sys are, for tests.
    package static func current(root: String = "") -> MemoryBudget {
        var budget = MemoryBudget(byteCount: .max, limitedBy: "nothing")
        if let available = Self.fields(root + "/proc/meminfo")["MemAvailable:"] {
            let (bytes, overflow) = available.multipliedReportingOverflow(by: 1024)
            if !overflow { budget = MemoryBudget(byteCount: bytes, limitedBy: "the machine's free memory") }
        }
        for line in (FileSystem.text(root + "/proc/self/cgroup") ?? "").split(separator: "\n") {
            // hierarchy:controllers:path; version 2 is hierarchy 0 without controllers.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[0] == "0" {
                Self.version2.tighten(&budget, root, path: parts[2])
            } else if parts[1].split(separator: ",").contains("memory") {
                Self.version1.tighten(&budget, root, path: parts[2])
            }
        }
        return budget
    }

    /// Where a version of control groups keeps its figures.
    private struct Hierarchy {
        let mount: String
        let limit: String
        let usage: String
        let statistics: [String]

        /// The group and all above it. In a container the path may be one of the host's, which is not there; the mount
        /// itself is the container's own group then.
        func tighten(_ budget: inout MemoryBudget, _ root: String, path: Substring) {
            var names = path.split(separator: "/")
            while true {
                let group = ([root + self.mount] + names.map(String.init)).joined(separator: "/")
                if let free = self.free(in: group), free < budget.byteCount {
                    budget = MemoryBudget(byteCount: free, limitedBy: "\(group.dropFirst(root.count))/\(self.limit)")
                }
                guard names.popLast() != nil else { return }
            }
        }

        private func free(in group: String) -> Int? {
            guard let limit = MemoryBudget.number(group + "/" + self.limit),
                let usage = MemoryBudget.number(group + "/" + self.usage), limit >= 0, usage >= 0
            else { return nil }
            // Pages of files can be dropped; those of memory files are not among these.
            let statistics = MemoryBudget.fields(group + "/memory.stat")
            let kept = self.statistics.reduce(usage) { max(0, $0 - max(0, statistics[$1] ?? 0)) }
            return max(0, limit - kept)
        }
    }

    private static let version2 = Hierarchy(
        mount: "/sys/fs/cgroup", limit: "memory.max", usage: "memory.current",
        statistics: ["inactive_file", "active_file"])
    private static let version1 = Hierarchy(
        mount: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes",
        statistics: ["total_inactive_file", "total_active_file"])

    /// A file that holds one number; nil for "max" and for what cannot be read.
    private static func number(_ path: String) -> Int? {
        FileSystem.text(path).flatMap { $0.split(whereSeparator: \.isWhitespace).first }.flatMap { Int($0) }
    }

    /// Lines of a name and a number.
    private static func fields(_ path: String) -> [String: Int] {
        var fields: [String: Int] = [:]
        for line in (FileSystem.text(path) ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count >= 2, let value = Int(words[1]) { fields[String(words[0])] = value }
        }
        return fields
    }
}
