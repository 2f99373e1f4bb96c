import SMCSystem
import Testing

@Suite struct ControlGroupTests {
    private func limit(_ membership: String, _ files: [String: String]) -> Int? {
        ControlGroup.memoryLimit(membership: membership) { files[$0] }
    }

    @Test func theLeastLimitOnTheWayToTheRootCounts() {
        let files = [
            "/a/b/memory.max": "max\n", "/a/memory.max": "1048576\n", "/memory.max": "4194304\n",
            "/other/memory.max": "1\n",
        ]
        #expect(self.limit("0::/a/b\n", files) == 1_048_576)
        #expect(self.limit("0::/\n", files) == 4_194_304)
    }

    @Test func noLimitIsNone() {
        #expect(self.limit("0::/a\n", ["/a/memory.max": "max\n"]) == nil)
        #expect(self.limit("0::/a\n", [:]) == nil)
        #expect(self.limit("", [:]) == nil)
        #expect(self.limit("garbage\n0::/a\n", ["/a/memory.max": "-5"]) == nil)
    }

    /// What version 1 says when there is no limit is a number, too.
    @Test func versionOne() {
        let membership = "5:cpu,cpuacct:/x\n4:memory:/x/y\n1:name=systemd:/z\n"
        let none = "9223372036854771712\n"
        #expect(self.limit(membership, ["/memory/x/y/memory.limit_in_bytes": none]) == nil)
        #expect(
            self.limit(
                membership,
                ["/memory/x/y/memory.limit_in_bytes": none, "/memory/x/memory.limit_in_bytes": "2097152\n"])
                == 2_097_152)
    }

    @Test func thisProcessHasAnAnswer() {
        if let limit = ResourceLimits.controlGroupMemoryByteCount() { #expect(limit > 0) }
    }
}
