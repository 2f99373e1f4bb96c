internal import CSMCShims
internal import Glibc

/// A file descriptor with one owner, closed exactly once when that owner goes away.
package struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, valid as long as this value lives.
    package let rawValue: Int32

    /// Takes over `rawValue`, which nobody else may close from now on.
    package init(adopting rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// Gives the number away; whoever takes it must close it.
    package consuming func release() -> Int32 {
        let number = self.rawValue
        discard self
        return number
    }

    /// A second descriptor for the same open file (close-on-exec).
    package borrowing func duplicate() throws(SystemCallError) -> OwnedDescriptor {
        let number = self.rawValue
        return OwnedDescriptor(adopting: try retrying("fcntl") { csmc_fcntl_int(number, F_DUPFD_CLOEXEC, 0) })
    }

    deinit {
        // close(2) must not be repeated on EINTR: on Linux the descriptor is gone in any case.
        _ = Glibc.close(self.rawValue)
    }
}
