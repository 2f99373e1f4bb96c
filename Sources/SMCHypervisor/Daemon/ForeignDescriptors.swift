internal import SMCSystem

/// Descriptors that a client sent. Those that nobody takes are closed.
struct ForeignDescriptors: ~Copyable {
    private var numbers: [Int32]
    private let closer: DescriptorCloser

    init(_ numbers: [Int32], _ closer: DescriptorCloser) {
        self.numbers = numbers
        self.closer = closer
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
        for number in self.numbers { self.closer.close(number) }
    }
}

/// Closes descriptors that clients sent. Closing some kinds of files may wait, for as long as whoever made them likes (a
/// socket that lingers, a file system of a user's): that is done on a thread of its own, and the hypervisor goes on.
final class DescriptorCloser: Sendable {
    private let worker = Worker(name: "smc-closer")

    func close(_ number: Int32) {
        guard !MemoryFile.isMemoryFile(number) else {
            _ = OwnedDescriptor(adopting: number)
            return
        }
        self.worker.enqueue { _ = OwnedDescriptor(adopting: number) }
    }
}

/// Memory of an earlier hypervisor. It is held so that no other memory gets its identity, and for nothing else.
final class AdoptedMemory {
    let file: MemoryFile

    init(_ file: consuming MemoryFile) {
        self.file = file
    }
}
