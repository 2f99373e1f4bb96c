internal import SMCControl
internal import SMCSystem

/// The socket that partitions come to, and its file, which others may remove.
final class ListeningSocket {
    /// What became of the socket's file.
    enum Place {
        case unchanged
        /// It was gone, and was made anew.
        case renewed
        /// Another hypervisor has taken it.
        case lost
    }

    private let configuration: HypervisorConfiguration
    private var lock: FileLock
    private var socket: UnixSocket
    /// Of the socket's file.
    private var identity: FileIdentity?
    private(set) var isLost = false

    /// - Parameter lock: the right to the socket's path.
    init(_ configuration: HypervisorConfiguration, lock: consuming FileLock) throws(SystemCallError) {
        self.configuration = configuration
        self.lock = lock
        self.socket = try Self.bind(configuration)
        self.identity = try FileSystem.identity(configuration.socketPath)
    }

    private static func bind(_ configuration: HypervisorConfiguration) throws(SystemCallError) -> UnixSocket {
        let path = configuration.socketPath
        try FileSystem.remove(path)  // Left by a hypervisor that was killed: we have its lock.
        let socket = try UnixSocket.listen(path: path)
        try FileSystem.setPermissions(path, configuration.allowedUsers == .ownerAndRoot ? 0o600 : 0o666)
        return socket
    }

    var descriptor: Int32 {
        self.socket.descriptor.rawValue
    }

    func accept() throws(SystemCallError) -> UnixSocket? {
        try self.socket.accept()
    }

    /// Looks whether the file is where it was, and makes it anew if not.
    ///
    /// - Parameter replacing: is given the old and the new descriptor before the old one is closed.
    func keepPlace(
        replacing: (_ old: Int32, _ new: Int32) throws(SystemCallError) -> Void
    ) throws(SystemCallError) -> Place {
        let path = self.configuration.socketPath
        guard !self.isLost, try FileSystem.identity(path) != self.identity else { return .unchanged }
        do throws(ControlError) {
            let isPrivate = self.configuration.allowedUsers == .ownerAndRoot
            try RuntimeDirectory.prepare(self.configuration.directory, isPrivate: isPrivate)
        } catch {
            throw SystemCallError(call: "\(error)", errno: Errno.accessDenied)
        }
        // The lock's file may be gone as well; then somebody else may have made, and locked, another.
        let lockPath = path + ".lock"
        if try !self.lock.isHeld(at: lockPath) {
            guard let lock = try FileLock.tryAcquire(lockPath) else {
                self.isLost = true
                return .lost
            }
            self.lock = lock
        }
        let socket = try Self.bind(self.configuration)
        try replacing(self.descriptor, socket.descriptor.rawValue)
        self.socket = socket
        self.identity = try FileSystem.identity(path)
        return .renewed
    }

    /// Takes the file away, if it is ours.
    func remove() {
        let path = self.configuration.socketPath
        guard let identity = self.identity, (try? FileSystem.identity(path)) == identity else { return }
        try? FileSystem.remove(path)
    }
}
