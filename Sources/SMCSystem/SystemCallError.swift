internal import CSMCShims
internal import Glibc

/// A Linux call that failed: which one, and errno as it was right after it.
package struct SystemCallError: Error, Hashable, Sendable {
    /// The call's name, as in its manual page.
    package var call: String
    /// The value of errno.
    package var errno: Int32

    package init(call: String, errno: Int32) {
        self.call = call
        self.errno = errno
    }
}

extension SystemCallError: CustomStringConvertible {
    package var description: String {
        "\(self.call): \(errnoText(self.errno))"
    }
}

/// Errno values that callers outside this module decide on.
package enum Errno {
    package static let tryAgain = EAGAIN
    package static let inProgress = EINPROGRESS
    package static let brokenPipe = EPIPE
    package static let connectionReset = ECONNRESET
    package static let connectionRefused = ECONNREFUSED
    package static let noMemory = ENOMEM
    package static let noSpace = ENOSPC
    package static let tooManyOpenFiles = EMFILE
    package static let notFound = ENOENT
    package static let timedOut = ETIMEDOUT
    package static let notSupported = ENOSYS
    package static let noSuchDevice = ENODEV
    package static let badMessage = EBADMSG
    package static let addressInUse = EADDRINUSE
    package static let accessDenied = EACCES
    package static let wouldTruncate = EMSGSIZE
}

/// Runs a call that answers -1 with errno; repeats it when a signal interrupted it.
@inline(__always)
package func retrying<Result: SignedInteger>(
    _ call: @autoclosure () -> String, _ body: () -> Result
) throws(SystemCallError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = Glibc.errno  // Read before anything else can change it.
        guard code == EINTR else { throw SystemCallError(call: call(), errno: code) }
    }
}
