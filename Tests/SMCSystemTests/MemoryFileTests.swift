import Glibc
import SMCSystem
import Synchronization
import Testing

/// Sealed memory: no descriptor that another process sends can make us fault.
struct MemoryFileTests {
    @Test func sizesAreWholePagesOfZeros() throws {
        for size in [1, 4095, 4096, 4097, 100_000] {
            let file = try MemoryFile.create(name: "smc-test", byteCount: size)
            #expect(file.byteCount == (size + 4095) / 4096 * 4096)
            let mapping = try Mapping(file)
            #expect(mapping.byteCount == file.byteCount)
            #expect(mapping.read(file.byteCount, at: 0).allSatisfy { $0 == 0 })
        }
    }

    /// Pages are there from the beginning: nothing can run out later.
    @Test func allPagesAreAllocated() throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: 1 << 20)
        var status = stat()
        #expect(fstat(file.descriptor.rawValue, &status) == 0)
        #expect(Int(status.st_blocks) * 512 >= 1 << 20)
    }

    @Test func theSizeCannotBeChanged() throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: 8192)
        for size in [0, 4096, 16_384] {
            #expect(ftruncate(file.descriptor.rawValue, size) == -1)
            #expect(errno == EPERM)
        }
        // Neither by who opens it anew.
        let again = open("/proc/self/fd/\(file.descriptor.rawValue)", O_RDWR)
        #expect(again >= 0)
        #expect(ftruncate(again, 0) == -1)
        close(again)
    }

    @Test func bothMappingsAreTheSameMemory() throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: 4096)
        let (one, other) = (try Mapping(file), try Mapping(file))
        one.write([1, 2, 3], at: 1000)
        #expect(other.read(3, at: 1000) == [1, 2, 3])
        try file.zero()
        #expect(one.read(4096, at: 0).allSatisfy { $0 == 0 })
    }

    // MARK: Descriptors of strangers

    private static func temporaryFile(_ size: Int) -> OwnedDescriptor {
        var template = Array("/tmp/swift-smc-test-XXXXXX".utf8CString)
        let number = mkstemp(&template)
        unlink(template)
        _ = ftruncate(number, size)
        return OwnedDescriptor(adopting: number)
    }

    @Test func whatIsNotSealedIsRefused() throws {
        var refused: [String] = []
        func tryToAdopt(_ name: String, _ descriptor: consuming OwnedDescriptor) {
            do {
                _ = try MemoryFile.adopt(descriptor, byteCount: 4096)
                Issue.record("\(name) was adopted")
            } catch {
                refused.append(name)
            }
        }
        tryToAdopt("a file", Self.temporaryFile(4096))
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        tryToAdopt("a pipe", OwnedDescriptor(adopting: ends[0]))
        tryToAdopt("a pipe", OwnedDescriptor(adopting: ends[1]))
        tryToAdopt("a socket", OwnedDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)))
        tryToAdopt("an event", try EventDescriptor().descriptor.duplicate())
        for seals in [0, 1, 2, 4, 5] as [Int32] { tryToAdopt("seals \(seals)", Self.memory(seals: seals)) }
        #expect(refused.count == 10)
    }

    /// A memory file made by hand, with these F_SEAL bits: 1 no further seals, 2 not to shrink, 4 not to grow.
    private static func memory(seals: Int32) -> OwnedDescriptor {
        // Hidden in the module that Swift imports; 2 is MFD_ALLOW_SEALING.
        typealias Create = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
        let number = unsafeBitCast(dlsym(nil, "memfd_create"), to: Create.self)("smc-test", 2)
        _ = ftruncate(number, 4096)
        _ = fcntl(number, 1033, seals)  // F_ADD_SEALS
        return OwnedDescriptor(adopting: number)
    }

    @Test func whatIsSealedIsTaken() throws {
        let adopted = try MemoryFile.adopt(Self.memory(seals: 6), byteCount: 4096)
        #expect(adopted.byteCount == 4096)
    }

    @Test func anotherSizeIsRefused() throws {
        for size in [0, -4096, 4095, 4097, 8192, Int.max] {
            let file = try MemoryFile.create(name: "smc-test", byteCount: 4096)
            let copy = try file.descriptor.duplicate()
            do {
                _ = try MemoryFile.adopt(copy, byteCount: size)
                Issue.record("\(size) bytes were taken")
            } catch {
                #expect(error.errno == Errno.badMessage)
            }
        }
    }

    // MARK: Letting go

    @Test func aDetachedMappingIsPrivate() throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: 8192)
        let (kept, detached) = (try Mapping(file), try Mapping(file))
        kept.write([1, 2, 3], at: 5000)
        detached.detach()
        #expect(detached.read(3, at: 5000) == [0, 0, 0], "nothing of the file is seen")
        detached.write([9, 9, 9], at: 5000)
        #expect(kept.read(3, at: 5000) == [1, 2, 3], "nothing of it reaches the file")
        detached.detach()
        #expect(detached.read(3, at: 5000) == [0, 0, 0])
    }

    @Test func aDetachedMappingIsNoLoan() throws {
        let memory = try LendableMemory.create(name: "smc-test", byteCount: 4096)
        let mapping = try Mapping(try MemoryFile.adopt(try memory.lend(), byteCount: 4096))
        let wasLent = memory.isLent()
        #expect(wasLent)
        mapping.detach()
        let isLent = memory.isLent()
        #expect(!isLent)
        #expect(mapping.read(1, at: 4095) == [0])
    }
}

/// Other memory at the same place.
@Suite struct MappingReplacementTests {
    @Test func addressesStayAndTheMemoryChanges() throws {
        let old = try MemoryFile.create(name: "old", byteCount: 8192)
        let new = try MemoryFile.create(name: "new", byteCount: 8192)
        let (mine, former) = (try Mapping(old), try Mapping(old))
        let address = mine.baseAddress
        mine.write([1, 2, 3], at: 5000)
        try new.copy(from: old)
        try mine.replace(with: new)
        #expect(mine.baseAddress == address)
        #expect(mine.read(3, at: 5000) == [1, 2, 3], "what was there was copied")
        mine.write([7], at: 0)
        former.write([9], at: 1)
        #expect(former.read(2, at: 0) == [0, 9], "nothing of it reaches the old file")
        #expect(mine.read(2, at: 0) == [7, 0], "nothing of the old file is seen")
        #expect(try Mapping(new).read(1, at: 0) == [7])
    }

    /// The old file is let go, so that its owner can have it back.
    @Test func theOldLoanIsGone() throws {
        let old = try LendableMemory.create(name: "old", byteCount: 4096)
        let new = try LendableMemory.create(name: "new", byteCount: 4096)
        let mapping = try Mapping(try MemoryFile.adopt(try old.lend(), byteCount: 4096))
        var isLent = (old.isLent(), new.isLent())
        #expect(isLent == (true, false))
        try mapping.replace(with: try MemoryFile.adopt(try new.lend(), byteCount: 4096))
        isLent = (old.isLent(), new.isLent())
        #expect(isLent == (false, true))
        withExtendedLifetime(mapping) {}
    }

    /// Threads that use the mapping meanwhile find memory there at any time.
    @Test func threadsGoOnMeanwhile() throws {
        let files = [
            Box(try MemoryFile.create(name: "one", byteCount: 65_536)),
            Box(try MemoryFile.create(name: "two", byteCount: 65_536)),
        ]
        let mapping = try Mapping(files[0].file)
        let isOver = Flag()
        let done = Flag()
        let thread = Worker(name: "test-writer")
        thread.enqueue {
            var round = 0
            while !isOver.isSet {
                mapping.write([UInt8(truncatingIfNeeded: round)], at: (round &* 4099) & 65_535)
                round &+= 1
            }
            done.set()
        }
        for round in 0..<500 { try mapping.replace(with: files[round & 1].file) }
        isOver.set()
        let deadline = ContinuousClock.now + .seconds(20)
        while !done.isSet, ContinuousClock.now < deadline { usleep(1000) }
        #expect(done.isSet)
    }

    private final class Box: Sendable {
        let file: MemoryFile
        init(_ file: consuming MemoryFile) { self.file = file }
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { self.value.load(ordering: .acquiring) }
        func set() { self.value.store(true, ordering: .releasing) }
    }
}

/// Huge pages, where they can be had.
@Suite(.serialized) struct HugePageTests {
    /// Reserves some for the time of the body, as root; else says why not.
    static func withHugePages(_ count: Int, _ body: () throws -> Void) throws {
        let path = "/proc/sys/vm/nr_hugepages"
        let before = FileSystem.text(path)?.split(separator: "\n").first.flatMap { Int($0) } ?? 0
        func set(_ number: Int) -> Bool {
            guard let file = fopen(path, "w") else { return false }
            defer { fclose(file) }
            return fputs("\(number)", file) >= 0
        }
        defer { if getuid() == 0 { _ = set(before) } }
        guard getuid() == 0, set(before + count) else {
            print("HugePageTests: no right to reserve huge pages, so only the refusal is tested")
            return
        }
        let free =
            FileSystem.text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")?
            .split(separator: "\n").first.flatMap { Int($0) } ?? 0
        guard free >= count else {
            print("HugePageTests: the kernel gave \(free) huge pages of \(count), so only the refusal is tested")
            return
        }
        try body()
    }

    @Test func aHugeFileIsLentAndReplacedLikeOthers() throws {
        let size = 4 << 20
        try Self.withHugePages(4) {
            let one = try LendableMemory.create(name: "one", byteCount: size - 5, pages: .huge)
            let two = try LendableMemory.create(name: "two", byteCount: size, pages: .huge)
            #expect(one.file.byteCount == size, "whole pages")
            let mapping = try Mapping(try MemoryFile.adopt(try one.lend(), byteCount: size))
            mapping.write([5], at: size - 1)
            var isLent = one.isLent()
            #expect(isLent)
            try two.file.copy(from: one.file)
            try mapping.replace(with: try MemoryFile.adopt(try two.lend(), byteCount: size))
            #expect(mapping.read(1, at: size - 1) == [5])
            isLent = one.isLent()
            #expect(!isLent)
            mapping.detach()
            isLent = two.isLent()
            #expect(!isLent)
            try one.file.zero()
            #expect(try Mapping(one.file).read(1, at: size - 1) == [0])
            // There are no more: refused, and nobody dies.
            #expect(throws: SystemCallError.self) {
                _ = try MemoryFile.create(name: "more", byteCount: 1 << 40, pages: .huge)
            }
        }
    }

    @Test func withoutHugePagesItIsRefused() {
        do {
            _ = try MemoryFile.create(name: "more", byteCount: 1 << 42, pages: .huge)
            Issue.record("the machine has terabytes of huge pages")
        } catch {
            #expect([Errno.noSpace, Errno.noMemory].contains(error.errno), "\(error)")
        }
    }
}
