internal import CSMCShims
internal import Glibc

/// The few names of the file system that we use: directories of sockets, and what is in them.
package enum FileSystem {
    /// What is known of a path without following a last symbolic link.
    package struct Entry: Hashable, Sendable {
        package var isDirectory: Bool
        package var ownerUserID: UInt32
        /// The nine permission bits.
        package var permissions: UInt32
    }

    /// lstat(2); nil when nothing is there.
    package static func entry(_ path: String) throws(SystemCallError) -> Entry? {
        var status = stat()
        do throws(SystemCallError) {
            // SAFETY: the string lives for the call, and lstat fills the struct we own.
            _ = try retrying("lstat \(path)") { unsafe lstat(path, &status) }
        } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
        return Entry(
            isDirectory: status.st_mode & S_IFMT == S_IFDIR, ownerUserID: status.st_uid,
            permissions: status.st_mode & 0o777)
    }

    /// Which file is there, a last symbolic link itself; nil when nothing is.
    package static func identity(_ path: String) throws(SystemCallError) -> FileIdentity? {
        var status = stat()
        do throws(SystemCallError) {
            // SAFETY: the string lives for the call, and lstat fills the struct we own.
            _ = try retrying("lstat \(path)") { unsafe lstat(path, &status) }
        } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// Makes one directory with these permissions, whatever the umask is. One that is there already stays as it is.
    package static func createDirectory(_ path: String, permissions: UInt32) throws(SystemCallError) {
        do throws(SystemCallError) {
            _ = try retrying("mkdir \(path)") { unsafe mkdir(path, permissions) }
        } catch {
            if error.errno == EEXIST { return }
            throw error
        }
        try self.setPermissions(path, permissions)
    }

    package static func setPermissions(_ path: String, _ permissions: UInt32) throws(SystemCallError) {
        // SAFETY: the string lives for the call.
        _ = try retrying("chmod \(path)") { unsafe chmod(path, permissions) }
    }

    /// The bytes of a regular file; nil when it has more than `limit`.
    package static func contents(_ path: String, limit: Int) throws(SystemCallError) -> [UInt8]? {
        // A pipe must not make us wait for its writer.
        let descriptor = OwnedDescriptor(
            adopting: try retrying("open \(path)") {
                // SAFETY: the string lives for the call.
                unsafe csmc_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
            })
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count <= limit {
            let rest = limit + 1 - count
            let (number, offset) = (descriptor.rawValue, count)
            let added = try retrying("read \(path)") {
                // SAFETY: the kernel writes at most as many bytes as are left of the array.
                unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(number, $0.baseAddress! + offset, rest) }
            }
            if added == 0 { break }
            count += added
        }
        _ = consume descriptor
        return count > limit ? nil : Array(bytes[..<count])
    }

    /// unlink(2); that nothing was there is no error.
    package static func remove(_ path: String) throws(SystemCallError) {
        do throws(SystemCallError) {
            // SAFETY: the string lives for the call.
            _ = try retrying("unlink \(path)") { unsafe unlink(path) }
        } catch {
            if error.errno != ENOENT { throw error }
        }
    }

    /// The beginning of a small text file, such as those of /proc; nil when it cannot be read or is no text.
    package static func text(_ path: String, limit: Int = 65_536) -> String? {
        // SAFETY: the string lives for the call.
        let number = unsafe csmc_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard number >= 0 else { return nil }
        let descriptor = OwnedDescriptor(adopting: number)
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            // SAFETY: the kernel writes at most as many bytes as are left of the array, which is ours.
            let more = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe read(descriptor.rawValue, buffer.baseAddress! + count, limit - count)
            }
            if more < 0, errno == EINTR { continue }
            guard more >= 0 else { return nil }
            if more == 0 { break }
            count += more
        }
        return String(validating: bytes.prefix(count), as: UTF8.self)
    }

    package static func isExecutable(_ path: String) -> Bool {
        // SAFETY: the string lives for the call.
        unsafe access(path, X_OK) == 0
    }

    /// The target of a symbolic link, or nil.
    package static func linkTarget(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        // SAFETY: the kernel writes at most as many bytes as the array has.
        let capacity = bytes.count
        let count = unsafe readlink(path, &bytes, capacity)
        guard count > 0 else { return nil }
        return String(validating: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A lock on a file (flock(2)) that the kernel drops when its holder dies. The file itself stays: removing it would let
/// two processes lock two files of one name.
package struct FileLock: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    /// Takes the lock, or answers nil when another process (or another call) has it.
    package static func tryAcquire(_ path: String) throws(SystemCallError) -> FileLock? {
        let number = try retrying("open \(path)") {
            // SAFETY: the string lives for the call.
            unsafe csmc_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        do throws(SystemCallError) {
            _ = try retrying("flock \(path)") { flock(number, LOCK_EX | LOCK_NB) }
        } catch {
            if error.errno == EWOULDBLOCK { return nil }
            throw error
        }
        return FileLock(descriptor: descriptor)
    }

    /// Whether the locked file is the one that is at `path` now.
    package borrowing func isHeld(at path: String) throws(SystemCallError) -> Bool {
        let number = self.descriptor.rawValue
        var status = stat()
        // SAFETY: fstat fills the struct we own.
        _ = try retrying("fstat") { unsafe fstat(number, &status) }
        let held = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        return try FileSystem.identity(path) == held
    }
}
