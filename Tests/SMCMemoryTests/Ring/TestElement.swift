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

    /// Both ends of one direction, and the element of the other, as two processes would have them.
    static func direction(ringByteCount: Int) throws -> (sender: ElementSender, receiver: ElementReceiver) {
        let data = try self.file(ringByteCount: ringByteCount)
        let back = try self.file(ringByteCount: ringByteCount)
        let sender = ElementSender(
            own: try self.element(back, ringByteCount), outgoing: try self.element(data, ringByteCount),
            storeByteCount: 65_536, stopBits: 0x60)
        let receiver = ElementReceiver(
            own: try self.element(data, ringByteCount), outgoing: try self.element(back, ringByteCount),
            storeByteCount: 65_536)
        return (sender, receiver)
    }
}
