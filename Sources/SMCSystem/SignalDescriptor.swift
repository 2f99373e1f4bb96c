internal import CSMCShims
internal import Glibc

/// Signals to this process as a readable descriptor (signalfd(2)), so that they are handled between other events.
package struct SignalDescriptor: ~Copyable, Sendable {
    package let descriptor: OwnedDescriptor

    /// Blocks SIGTERM and SIGINT, which become readable here, and SIGPIPE, SIGHUP and SIGIO, which are ignored from now
    /// on.
    ///
    /// Call it in the main thread before any other thread exists: each new thread inherits what is blocked.
    package static func terminationRequests() throws(SystemCallError) -> SignalDescriptor {
        var awaited = sigset_t()
        var blocked = sigset_t()
        // SAFETY: all calls use sets that we own.
        unsafe sigemptyset(&awaited)
        unsafe sigaddset(&awaited, SIGTERM)
        unsafe sigaddset(&awaited, SIGINT)
        blocked = awaited
        for ignored in [SIGPIPE, SIGHUP, SIGIO] {
            unsafe sigaddset(&blocked, ignored)
        }
        let code = unsafe pthread_sigmask(SIG_BLOCK, &blocked, nil)
        guard code == 0 else { throw SystemCallError(call: "pthread_sigmask", errno: code) }
        let number = try retrying("signalfd") {
            unsafe signalfd(-1, &awaited, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        }
        return SignalDescriptor(descriptor: OwnedDescriptor(adopting: number))
    }
}
