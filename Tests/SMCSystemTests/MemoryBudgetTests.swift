import Foundation
import SMCSystem
import Testing

/// What the machine and its control groups leave, from files as Linux writes them.
@Suite struct MemoryBudgetTests {
    /// A tree of files below a directory of its own.
    private final class Tree {
        let root: String

        init(_ files: [String: String]) throws {
            var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
            self.root = String(cString: mkdtemp(&template))
            for (path, text) in files {
                let url = URL(fileURLWithPath: self.root + path)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: url)
            }
        }

        deinit { try? FileManager.default.removeItem(atPath: self.root) }
    }

    private static let machine = ["/proc/meminfo": "MemTotal: 2000 kB\nMemAvailable:    1000 kB\n"]

    private func budget(_ files: [String: String]) throws -> MemoryBudget {
        let tree = try Tree(Self.machine.merging(files) { $1 })
        return MemoryBudget.current(root: tree.root)
    }

    @Test func withoutGroupsItIsTheMachines() throws {
        let budget = try self.budget([:])
        #expect(budget == MemoryBudget(byteCount: 1_024_000, limitedBy: "the machine's free memory"))
        let nothing = MemoryBudget.current(root: "/nonexistent")
        #expect(nothing.byteCount == .max)
    }

    /// The tightest group on the way up counts; pages of files can be dropped, so that they are no use of memory.
    @Test func groupsOfVersion2() throws {
        let groups = [
            "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n",
            "/sys/fs/cgroup/a/b/memory.current": "77\n", "/sys/fs/cgroup/a/memory.max": "500000\n",
            "/sys/fs/cgroup/a/memory.current": "300000\n",
            "/sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 40000\nactive_file 10000\n",
        ]
        let budget = try self.budget(groups)
        #expect(budget == MemoryBudget(byteCount: 250_000, limitedBy: "/sys/fs/cgroup/a/memory.max"))
    }

    @Test func groupsOfVersion1() throws {
        let group = "/sys/fs/cgroup/memory/x"
        let budget = try self.budget([
            "/proc/self/cgroup": "5:devices:/\n4:cpu,memory:/x\n0::/\n", "\(group)/memory.limit_in_bytes": "600000\n",
            "\(group)/memory.usage_in_bytes": "500000\n",
            "\(group)/memory.stat": "inactive_file 1\ntotal_inactive_file 50000\ntotal_active_file 0\n",
        ])
        #expect(budget == MemoryBudget(byteCount: 150_000, limitedBy: "\(group)/memory.limit_in_bytes"))
    }

    /// In a container the path may be one of the host's; what is mounted is the container's own group.
    @Test func aPathThatIsNotThereLimitsByItsMount() throws {
        let budget = try self.budget([
            "/proc/self/cgroup": "0::/host/pod/container\n", "/sys/fs/cgroup/memory.max": "1000\n",
            "/sys/fs/cgroup/memory.current": "400\n",
        ])
        #expect(budget == MemoryBudget(byteCount: 600, limitedBy: "/sys/fs/cgroup/memory.max"))
    }

    @Test func lyingFilesLimitNothingAndNeverTrap() throws {
        for (limit, usage, statistics) in [
            ("-5", "7", "inactive_file -3"), ("9223372036854775807", "-9223372036854775808", ""),
            ("1000", "10", "inactive_file 9223372036854775807\nactive_file 9223372036854775807"), ("x", "", "\u{0}"),
        ] {
            let budget = try self.budget([
                "/proc/self/cgroup": "0::/a\nnonsense\n::\n", "/sys/fs/cgroup/a/memory.max": limit,
                "/sys/fs/cgroup/a/memory.current": usage, "/sys/fs/cgroup/a/memory.stat": statistics,
            ])
            #expect(budget.byteCount >= 0)
        }
    }

    @Test func thisMachineLeavesSomething() {
        let budget = MemoryBudget.current()
        #expect(budget.byteCount > 0 && budget.byteCount < 1 << 50, "\(budget)")
    }
}
