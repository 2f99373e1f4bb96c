import SMCMemory
import SMCSystem

/// Elements as SMBs have them.
enum TestElement {
    static func file(ringByteCount: Int) throws -> MemoryFile {
        try MemoryFile.create(name: "smc-test", byteCount: BufferElementLayout.controlByteCount + ringByteCount)
    }

    static func map(ringByteCount: Int) throws -> Mapping {
        try BufferElement.map(try self.file(ringByteCount: ringByteCount), ringByteCount: ringByteCount)
    }

    static func element(_ file: borrowing MemoryFile, _ ringByteCount: Int) throws -> BufferElement {
        BufferElement(
            sharedMemory: try BufferElement.map(file, ringByteCount: ringByteCount), ringByteCount: ringByteCount)
    }
}
