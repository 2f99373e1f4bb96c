internal import CSMCShims
internal import Glibc

/// A memory file that is lent to other processes, and of which the kernel says whether anybody still has it.
///
/// Each loan is an open file of its own. A write lease (fcntl(2), F_SETLEASE) is granted only while no open file but
/// ours exists, and a mapping keeps its open file alive; so a lease proves that no process has a descriptor or a
/// mapping left, whatever it told us, even if it passed them on or made others of them.
package struct LendableMemory: ~Copyable, Sendable {
    // Hidden behind _GNU_SOURCE in the module that Swift imports; part of Linux's ABI.
    private static let setLease: Int32 = 1024

    package let file: MemoryFile

    /// Creates a sealed file of zeros with all pages present.
    package static func create(
        name: String, byteCount: Int, pages: MemoryFile.Pages = .ordinary
    ) throws(SystemCallError) -> LendableMemory {
        let created = try MemoryFile.create(name: name, byteCount: byteCount, pages: pages)
        // The open file that memfd_create makes is not in the kernel's count of writers, one that open makes is.
        let opened = try Self.open(created.descriptor.rawValue)
        return LendableMemory(file: try MemoryFile.adopt(opened, byteCount: created.byteCount))
    }

    /// An open file to send to another process, to be closed here afterwards.
    package borrowing func lend() throws(SystemCallError) -> OwnedDescriptor {
        try Self.open(self.file.descriptor.rawValue)
    }

    /// Whether any loan is out: a descriptor, a mapping, or a message under way that carries one.
    package borrowing func isLent() -> Bool {
        let number = self.file.descriptor.rawValue
        guard csmc_fcntl_int(number, Self.setLease, Int32(F_WRLCK)) == 0 else { return true }
        _ = csmc_fcntl_int(number, Self.setLease, Int32(F_UNLCK))
        return false
    }

    private static func open(_ descriptor: Int32) throws(SystemCallError) -> OwnedDescriptor {
        let path = "/proc/self/fd/\(descriptor)"
        return OwnedDescriptor(
            adopting: try retrying("open \(path)") {
                // SAFETY: the string lives for the call.
                unsafe csmc_open(path, O_RDWR | O_CLOEXEC, 0)
            })
    }
}
