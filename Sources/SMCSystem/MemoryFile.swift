internal import CSMCShims
internal import Glibc

/// A sealed anonymous file (memfd_create(2)): memory that is passed between processes by its descriptor only.
///
/// It has no name that others could open, nothing of it is left when the last descriptor is closed, and because its
/// size is sealed and all its pages are allocated at creation, no access to a mapping of it can raise SIGBUS.
package struct MemoryFile: ~Copyable, Sendable {
    /// What a file's memory is made of.
    package enum Pages: Hashable, Sendable {
        case ordinary
        /// Pages of 2 MiB that the administrator set aside (/proc/sys/vm/nr_hugepages): fewer entries in page tables
        /// and TLB. A file of them is a whole number of them.
        case huge

        /// Bytes of one page.
        package var byteCount: Int {
            switch self {
            case .ordinary: Page.byteCount
            case .huge: 1 << Self.hugeBits
            }
        }

        fileprivate static let hugeBits = 21
    }

    package let descriptor: OwnedDescriptor
    /// Size in bytes, a multiple of the page size.
    package let byteCount: Int

    private init(descriptor: consuming OwnedDescriptor, byteCount: Int) {
        self.descriptor = descriptor
        self.byteCount = byteCount
    }

    /// Creates a file of zeros whose pages are all present, and seals its size.
    ///
    /// - Parameter name: shown in /proc only.
    /// - Parameter byteCount: rounded up to whole pages.
    /// - Throws: ``SystemCallError`` with ENOMEM or ENOSPC when the machine has not that much memory, or not so many
    ///   huge pages. Nothing of the file is left then.
    package static func create(
        name: String, byteCount: Int, pages: Pages = .ordinary
    ) throws(SystemCallError) -> MemoryFile {
        let size = Page.roundUp(byteCount, to: pages.byteCount)
        let number = try retrying("memfd_create") {
            // SAFETY: the string lives for the call.
            unsafe csmc_memfd_create(name, pages == .huge ? UInt32(Pages.hugeBits) : 0)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        _ = try retrying("ftruncate") { ftruncate(number, size) }
        // All pages now: without them a store into a mapping would raise SIGBUS when memory is short.
        _ = try retrying("fallocate of \(size) bytes") { csmc_allocate(number, Int64(size)) }
        _ = try retrying("fcntl(F_ADD_SEALS)") { csmc_seal_size(number) }
        return MemoryFile(descriptor: descriptor, byteCount: size)
    }

    /// Takes over a descriptor that another process sent, after checking that it is what it must be.
    ///
    /// A file whose size is not sealed could be cut under our mapping, and every access would raise SIGBUS.
    /// - Throws: ``SystemCallError`` with EBADMSG when the size differs or the seals are missing.
    package static func adopt(
        _ descriptor: consuming OwnedDescriptor, byteCount: Int
    ) throws(SystemCallError) -> MemoryFile {
        let number = descriptor.rawValue
        guard try retrying("fcntl(F_GET_SEALS)", { csmc_has_sealed_size(number) }) == 1 else {
            throw SystemCallError(call: "memory file is not sealed", errno: EBADMSG)
        }
        var status = stat()
        // SAFETY: fstat fills the struct we own.
        _ = try retrying("fstat") { unsafe fstat(number, &status) }
        guard status.st_size == byteCount, byteCount > 0 else {
            throw SystemCallError(call: "memory file has another size than was said", errno: EBADMSG)
        }
        return MemoryFile(descriptor: descriptor, byteCount: byteCount)
    }

    /// Overwrites the whole file with zeros.
    package borrowing func zero() throws(SystemCallError) {
        let mapping = try Mapping(self)
        mapping.zero()
    }

    /// Overwrites the whole file with what another one of the same size holds. Whoever writes there meanwhile decides
    /// what of it is copied.
    package borrowing func copy(from other: borrowing MemoryFile) throws(SystemCallError) {
        precondition(self.byteCount == other.byteCount, "memory files of two sizes")
        let (target, source) = (try Mapping(self), try Mapping(other))
        target.copy(from: source)
    }
}

/// The machine's page.
package enum Page {
    /// Bytes of one page.
    package static let byteCount = sysconf(Int32(_SC_PAGESIZE))

    /// The smallest whole number of pages that holds `byteCount`.
    package static func roundUp(_ byteCount: Int, to size: Int = Page.byteCount) -> Int {
        (byteCount + size - 1) / size * size
    }
}

/// Memory of this process: a mapping of a ``MemoryFile``, or anonymous. Unmapped when the last reference goes.
@safe
package final class Mapping: @unchecked Sendable {
    // Sendable: the address and length never change; who may touch which byte when is the business of the layers above.

    /// Page-aligned, valid for ``byteCount`` bytes as long as this object lives.
    package let baseAddress: UnsafeMutableRawPointer
    package let byteCount: Int

    /// Maps the whole file, shared, for reading and writing, with all pages present.
    package init(_ file: borrowing MemoryFile) throws(SystemCallError) {
        self.byteCount = file.byteCount
        // SAFETY: the kernel chooses the address; the length is that of the file, which is sealed.
        unsafe self.baseAddress = try Self.map(file.byteCount, MAP_SHARED | MAP_POPULATE, file.descriptor.rawValue)
    }

    /// Maps a part of the file, and behind it the last `mirroredByteCount` bytes of that part once more: what ends at
    /// the part's end goes on at the mirrored range's beginning, without a seam.
    ///
    /// Traps when the ranges are not whole pages in the file: they are ours to choose.
    package init(
        _ file: borrowing MemoryFile, from offset: Int = 0, byteCount: Int, mirroring mirroredByteCount: Int
    ) throws(SystemCallError) {
        let (page, total) = (Page.byteCount, byteCount + mirroredByteCount)
        precondition(offset % page == 0 && byteCount % page == 0 && mirroredByteCount % page == 0, "whole pages only")
        precondition(offset >= 0 && byteCount > 0 && offset + byteCount <= file.byteCount, "outside of the file")
        precondition(mirroredByteCount >= 0 && mirroredByteCount <= byteCount)
        self.byteCount = total
        // The whole range at once, so that nothing of somebody else lies where the second piece comes.
        // SAFETY: the kernel chooses the address. Both pieces replace exactly a part of that range; the file is sealed.
        unsafe self.baseAddress = try Self.map(total, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
        let number = file.descriptor.rawValue
        do throws(SystemCallError) {
            try unsafe Self.replace(self.baseAddress, byteCount, number, offset)
            guard mirroredByteCount > 0 else { return }
            try unsafe Self.replace(
                self.baseAddress + byteCount, mirroredByteCount, number, offset + byteCount - mirroredByteCount)
        } catch {
            _ = unsafe munmap(self.baseAddress, total)
            throw error
        }
    }

    private static func replace(
        _ address: UnsafeMutableRawPointer, _ byteCount: Int, _ descriptor: Int32, _ offset: Int
    ) throws(SystemCallError) {
        let flags = MAP_SHARED | MAP_POPULATE | MAP_FIXED
        guard unsafe mmap(address, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, off_t(offset)) != MAP_FAILED
        else { throw SystemCallError(call: "mmap of \(byteCount) bytes", errno: errno) }
    }

    /// Private zeroed memory, all pages present.
    package init(anonymousByteCount: Int) throws(SystemCallError) {
        self.byteCount = Page.roundUp(anonymousByteCount)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE
        unsafe self.baseAddress = try Self.map(Page.roundUp(anonymousByteCount), flags, -1)
    }

    private static func map(
        _ byteCount: Int, _ flags: Int32, _ descriptor: Int32
    ) throws(SystemCallError) -> UnsafeMutableRawPointer {
        let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, descriptor, 0)
        guard let address = unsafe mapped, unsafe address != MAP_FAILED else {
            throw SystemCallError(call: "mmap of \(byteCount) bytes", errno: errno)
        }
        return unsafe address
    }

    /// Overwrites all bytes with zero.
    package func zero() {
        // SAFETY: the range is the mapping, which must not end with the caller's last use of it while memset runs.
        withExtendedLifetime(self) { _ = unsafe memset($0.baseAddress, 0, $0.byteCount) }
    }

    /// Overwrites all bytes with those of another mapping of the same size.
    package func copy(from other: Mapping) {
        precondition(self.byteCount == other.byteCount, "mappings of two sizes")
        withExtendedLifetime((self, other)) {
            // SAFETY: both ranges are whole mappings of this size, which live until memcpy is done. They may be of one
            // file but they do not overlap. Bytes that another process writes meanwhile are nobody's to rely on.
            _ = unsafe memcpy($0.baseAddress, $1.baseAddress, $0.byteCount)
        }
    }

    /// Puts another file of the same size in the place of this mapping's: addresses stay, what they lead to changes.
    ///
    /// Nothing that this process stores from now on reaches the old file, and nothing that is stored there is seen
    /// here. Threads that use the mapping meanwhile use one or the other, never nothing.
    /// - Throws: ``SystemCallError`` when there is no memory for it. Then private pages of zeros may be in its place;
    ///   the addresses are valid in any case.
    package func replace(with file: borrowing MemoryFile) throws(SystemCallError) {
        precondition(file.byteCount == self.byteCount, "a memory file of another size")
        let flags = MAP_SHARED | MAP_POPULATE | MAP_FIXED
        let number = file.descriptor.rawValue
        // SAFETY: exactly the range of this mapping is replaced, by memory of the same length and protection; pointers
        // into it stay valid. The file's size is sealed.
        let mapped = unsafe mmap(self.baseAddress, self.byteCount, PROT_READ | PROT_WRITE, flags, number, 0)
        guard unsafe mapped == MAP_FAILED else { return }
        let code = errno
        self.detach()  // Linux may have unmapped the range before it failed.
        throw SystemCallError(call: "mmap of \(self.byteCount) bytes over others", errno: code)
    }

    /// Lets the file go while the addresses stay valid: private pages of zeros take its place.
    ///
    /// For memory that is to be given back although somebody may still hold, and even use, this object.
    package func detach() {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
        // SAFETY: exactly the range of this mapping is replaced. Where the kernel has no memory for it, the old mapping
        // stays, which is no worse than before.
        _ = unsafe mmap(self.baseAddress, self.byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
    }

    deinit {
        // SAFETY: the range is the mapping, and the last user of it is gone.
        _ = unsafe munmap(self.baseAddress, self.byteCount)
    }
}
