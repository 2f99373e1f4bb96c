internal import CSMCShims
internal import Glibc

/// Calls on descriptors that belong to somebody else, such as a C library.
package enum RawDescriptor {
    /// Makes reads answer EAGAIN instead of waiting.
    package static func setNonBlocking(_ descriptor: Int32) throws(SystemCallError) {
        let flags = try retrying("fcntl") { csmc_fcntl_int(descriptor, F_GETFL, 0) }
        _ = try retrying("fcntl") { csmc_fcntl_int(descriptor, F_SETFL, flags | O_NONBLOCK) }
    }

    /// Waits until `descriptor` has something to read. False when `timeout` passed first.
    ///
    /// May come back early with false when a signal interrupts; whoever has a deadline looks at the clock and asks again.
    package static func waitReadable(_ descriptor: Int32, timeout: Duration) throws(SystemCallError) -> Bool {
        let parts = timeout.components
        // Rounded up, so that a wait for less than a millisecond does not spin.
        let milliseconds = max(
            0, parts.seconds * 1000 + (parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: one entry, alive for the call.
        let count = unsafe poll(&entry, 1, Int32(clamping: milliseconds))
        guard count >= 0 else {
            let code = Glibc.errno
            guard code == EINTR else { throw SystemCallError(call: "poll", errno: code) }
            return false
        }
        return count > 0
    }

    /// Closes a descriptor that a C library opened and will not close in time.
    package static func close(_ descriptor: Int32) {
        // close(2) must not be repeated on EINTR: on Linux the descriptor is gone in any case.
        _ = Glibc.close(descriptor)
    }
}

/// Errno as the last C call of this thread left it; ask at once.
@inline(__always)
package func lastErrno() -> Int32 {
    Glibc.errno
}

/// What errno `code` means, in the words of the C library.
package func errnoText(_ code: Int32) -> String {
    // SAFETY: strerror returns a NUL-terminated string that is copied before any other call can change it.
    unsafe String(cString: strerror(code))
}
