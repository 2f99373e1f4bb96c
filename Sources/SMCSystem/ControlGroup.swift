internal import CSMCShims
internal import Glibc

/// What the control group of a process may use (cgroups(7)); a container's limits are such.
package enum ControlGroup {
    /// The least memory limit on the way from a process's group to the root, in bytes.
    ///
    /// - Parameters:
    ///   - membership: contents of `/proc/self/cgroup`.
    ///   - read: gives the contents of a file below `/sys/fs/cgroup`, or nil when there is none.
    /// - Returns: nil when nothing is limited.
    package static func memoryLimit(membership: String, read: (_ path: String) -> String?) -> Int? {
        var least: Int?
        for line in membership.split(separator: "\n") {
            // "0::/path" in version 2, "7:memory:/path" in version 1.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isUnified = fields[0] == "0" && fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { continue }
            let (root, name) = isUnified ? ("", "memory.max") : ("/memory", "memory.limit_in_bytes")
            var path = fields[2].split(separator: "/")
            // Inside a container the path may be that of the host; the root of what is seen is ours then.
            while true {
                let directory = root + path.map { "/" + $0 }.joined()
                if let text = read(directory + "/" + name), let limit = Self.byteCount(text) {
                    least = min(least ?? limit, limit)
                }
                guard path.popLast() != nil else { break }
            }
        }
        return least
    }

    /// "max", and what version 1 says instead, is no limit.
    private static func byteCount(_ text: String) -> Int? {
        guard let value = Int(text.filter { !$0.isWhitespace }), value > 0, value < 1 << 60 else { return nil }
        return value
    }
}

extension ResourceLimits {
    /// Bytes of memory that this process's control group may use; nil when nothing limits it.
    package static func controlGroupMemoryByteCount() -> Int? {
        guard let membership = FileSystem.smallFile("/proc/self/cgroup") else { return nil }
        return ControlGroup.memoryLimit(membership: membership) { FileSystem.smallFile("/sys/fs/cgroup" + $0) }
    }
}

extension FileSystem {
    /// The contents of a file of the kernel's, 16 KiB of it at most; nil when it cannot be read.
    package static func smallFile(_ path: String) -> String? {
        // SAFETY: the string lives for the call.
        let number = unsafe csmc_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { return nil }
        let descriptor = OwnedDescriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let capacity = bytes.count
        // SAFETY: at most as many bytes are written as the array has.
        let count = unsafe Glibc.read(descriptor.rawValue, &bytes, capacity)
        guard count >= 0 else { return nil }
        return String(validating: bytes.prefix(count), as: UTF8.self)
    }
}
