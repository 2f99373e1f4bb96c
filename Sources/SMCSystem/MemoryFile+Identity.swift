internal import CSMCShims
internal import Glibc

/// Which file it is, as the kernel says: two descriptors with one identity are of one memory.
///
/// It tells files apart only while they exist: hold one, and no other file gets its identity.
package struct FileIdentity: Hashable, Sendable {
    package var device: UInt64
    package var inode: UInt64
}

extension MemoryFile {
    // Hidden behind _GNU_SOURCE in the module that Swift imports; part of Linux's ABI.
    private static let getSeals: Int32 = 1034
    private static let sizeSeals: Int32 = 0x1 | 0x2 | 0x4  // seal, shrink, grow
    private static let writeSeals: Int32 = 0x8 | 0x10  // write, future write

    package borrowing func identity() throws(SystemCallError) -> FileIdentity {
        let number = self.descriptor.rawValue
        var status = stat()
        // SAFETY: fstat fills the struct we own.
        _ = try retrying("fstat") { unsafe fstat(number, &status) }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// Takes over a descriptor of somebody who may lie: a memory file, open for reading and writing, of exactly this
    /// size, which nobody can change any more.
    ///
    /// It asks for the seals first: anything but a memory file refuses that at once, so that no other kind of file gets
    /// a chance to keep us waiting.
    /// - Throws: ``SystemCallError`` with EBADMSG, or with EINVAL for what is no memory file.
    package static func adoptForeign(
        _ descriptor: consuming OwnedDescriptor, byteCount: Int
    ) throws(SystemCallError) -> MemoryFile {
        let number = descriptor.rawValue
        let seals = try retrying("fcntl(F_GET_SEALS)") { csmc_fcntl_int(number, Self.getSeals, 0) }
        guard seals & Self.sizeSeals == Self.sizeSeals, seals & Self.writeSeals == 0 else {
            throw SystemCallError(call: "memory file with other seals", errno: EBADMSG)
        }
        let flags = try retrying("fcntl(F_GETFL)") { csmc_fcntl_int(number, F_GETFL, 0) }
        guard flags & O_ACCMODE == O_RDWR else {
            throw SystemCallError(call: "memory file that is not open for reading and writing", errno: EBADMSG)
        }
        return try Self.adopt(descriptor, byteCount: byteCount)
    }

    /// Whether the kernel takes the descriptor for a memory file, or a file like it.
    package static func isMemoryFile(_ descriptor: Int32) -> Bool {
        csmc_fcntl_int(descriptor, Self.getSeals, 0) >= 0
    }
}
