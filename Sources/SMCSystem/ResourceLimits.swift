internal import CSMCShims
internal import Glibc

/// What the system lets this process have.
package enum ResourceLimits {
    /// Raises the soft limit of open descriptors to the hard one.
    ///
    /// - Returns: how many this process may have open from now on.
    package static func raiseDescriptorLimit() throws(SystemCallError) -> Int {
        var limit = rlimit()
        // SAFETY: both calls use the struct that we own.
        _ = try retrying("getrlimit") { unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) }
        let before = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        // SAFETY: as above.
        if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 {
            limit.rlim_cur = before
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Bytes of the machine's memory.
    package static func physicalMemoryByteCount() -> Int {
        max(0, sysconf(Int32(_SC_PHYS_PAGES))) * Page.byteCount
    }
}
