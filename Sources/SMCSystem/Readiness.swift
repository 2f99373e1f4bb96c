internal import CSMCShims
internal import Glibc

/// Waiting for a single descriptor.
package enum Readiness {
    /// Blocks until `descriptor` can be read (or written), failed, or `timeout` is over.
    ///
    /// - Returns: false when the time was over.
    package static func wait(
        _ descriptor: Int32, toWrite: Bool = false, timeout: Duration
    ) throws(SystemCallError) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(toWrite ? POLLOUT : POLLIN), revents: 0)
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while true {
            let remaining = ContinuousClock.now.duration(to: deadline)
            let milliseconds = max(0, Int32(clamping: (remaining / .milliseconds(1)).rounded(.up).asInteger))
            // SAFETY: one entry of our own.
            let count = unsafe poll(&entry, 1, milliseconds)
            if count > 0 { return true }
            if count == 0 { return false }
            let code = errno
            guard code == EINTR else { throw SystemCallError(call: "poll", errno: code) }
        }
    }
}

extension Double {
    fileprivate var asInteger: Int64 {
        Int64(exactly: self) ?? (self > 0 ? .max : 0)
    }
}
