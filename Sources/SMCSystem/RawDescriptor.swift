internal import CSMCShims
internal import Glibc

/// Calls on descriptors that belong to somebody else, such as a C library.
package enum RawDescriptor {
    /// Makes reads answer EAGAIN instead of waiting.
    package static func setNonBlocking(_ descriptor: Int32) throws(SystemCallError) {
        let flags = try retrying("fcntl") { csmc_fcntl_int(descriptor, F_GETFL, 0) }
        _ = try retrying("fcntl") { csmc_fcntl_int(descriptor, F_SETFL, flags | O_NONBLOCK) }
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
