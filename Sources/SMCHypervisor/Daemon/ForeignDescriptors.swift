internal import SMCSystem

/// Descriptors that a client sent. Those that nobody takes are closed.
struct ForeignDescriptors: ~Copyable {
    private var numbers: [Int32]
    private let strangers: StrangersDescriptors

    init(_ numbers: [Int32], _ strangers: StrangersDescriptors) {
        self.numbers = numbers
        self.strangers = strangers
    }

    var count: Int {
        self.numbers.count
    }

    /// The first one, if it is a memory file.
    mutating func takeMemoryFile() -> OwnedDescriptor? {
        guard let number = self.numbers.first, MemoryFile.isMemoryFile(number) else { return nil }
        self.numbers.removeFirst()
        return OwnedDescriptor(adopting: number)
    }

    deinit {
        self.strangers.close(self.numbers)
    }
}

/// Memory of an earlier hypervisor. It is held so that no other memory gets its identity, and for nothing else.
final class AdoptedMemory {
    let file: MemoryFile

    init(_ file: consuming MemoryFile) {
        self.file = file
    }
}
