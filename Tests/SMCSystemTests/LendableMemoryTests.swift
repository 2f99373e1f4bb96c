import SMCSystem
import Testing

/// The kernel knows who has the memory, whatever the borrower says.
@Suite struct LendableMemoryTests {
    @Test func aDescriptorCounts() throws {
        let memory = try LendableMemory.create(name: "test", byteCount: 4096)
        var isLent = memory.isLent()
        #expect(!isLent)
        let loan = try memory.lend()
        isLent = memory.isLent()
        #expect(isLent)
        _ = consume loan
        isLent = memory.isLent()
        #expect(!isLent)
    }

    @Test func aMappingCountsWithoutItsDescriptor() throws {
        let memory = try LendableMemory.create(name: "test", byteCount: 4096)
        var mapping: Mapping? = try Mapping(try MemoryFile.adopt(try memory.lend(), byteCount: memory.file.byteCount))
        #expect(mapping != nil)
        var isLent = memory.isLent()
        #expect(isLent)
        mapping = nil
        isLent = memory.isLent()
        #expect(!isLent)
    }

    @Test func ourOwnMappingDoesNotCount() throws {
        let memory = try LendableMemory.create(name: "test", byteCount: 4096)
        let mapping = try Mapping(memory.file)
        let isLent = memory.isLent()
        #expect(!isLent)
        mapping.zero()
    }
}
