import Glibc
import SMCSystem
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
