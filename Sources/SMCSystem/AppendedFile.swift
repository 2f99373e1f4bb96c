internal import CSMCShims
internal import Glibc

/// A file that is only ever added to, such as a log (O_APPEND), and that somebody may move away meanwhile.
package struct AppendedFile: ~Copyable, Sendable {
    private let path: String
    private let descriptor: OwnedDescriptor
    private let identity: Identity

    private struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64

        init(_ status: stat) {
            self.device = UInt64(status.st_dev)
            self.inode = UInt64(status.st_ino)
        }
    }

    private init(path: String, descriptor: consuming OwnedDescriptor, identity: Identity) {
        self.path = path
        self.descriptor = descriptor
        self.identity = identity
    }

    /// Opens the file, and makes it if it is not there, for its owner to write and its group to read. What is no regular
    /// file, but a device, is opened too; a pipe or a symbolic link is not.
    package static func open(_ path: String) throws(SystemCallError) -> AppendedFile {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let number = try retrying("open \(path)") {
            // SAFETY: the string lives for the call.
            unsafe csmc_open(path, flags, 0o640)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        var status = stat()
        // SAFETY: fstat fills the struct that we own.
        _ = try retrying("fstat \(path)") { unsafe fstat(number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFCHR else {
            throw SystemCallError(call: "open \(path), which is no file that can be added to", errno: EINVAL)
        }
        return AppendedFile(path: path, descriptor: descriptor, identity: Identity(status))
    }

    /// Adds bytes at the end with one write(2).
    ///
    /// - Returns: how many were written; fewer than there are when the file system is full.
    package borrowing func append(_ bytes: [UInt8]) throws(SystemCallError) -> Int {
        let number = self.descriptor.rawValue
        // SAFETY: the array lives for the call, and its count goes with it.
        return try retrying("write \(self.path)") { unsafe write(number, bytes, bytes.count) }
    }

    /// Whether the path leads to this file still: false once it was moved away or removed.
    package borrowing func isInPlace() -> Bool {
        var status = stat()
        // SAFETY: the string lives for the call, and lstat fills the struct that we own.
        guard unsafe lstat(self.path, &status) == 0 else { return false }
        return Identity(status) == self.identity
    }
}
