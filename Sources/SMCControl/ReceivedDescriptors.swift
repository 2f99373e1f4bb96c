internal import SMCSystem

/// Descriptors that came with a message, in order. Those that nobody takes are closed.
struct ReceivedDescriptors: ~Copyable, Sendable {
    private var numbers: [Int32]

    init(adopting numbers: [Int32]) {
        self.numbers = numbers
    }

    var count: Int {
        self.numbers.count
    }

    /// The next one.
    mutating func take() throws(ControlError) -> OwnedDescriptor {
        guard !self.numbers.isEmpty else { throw .protocolViolation("a descriptor is missing") }
        return OwnedDescriptor(adopting: self.numbers.removeFirst())
    }

    /// The next one, which must be memory of this size.
    mutating func takeMemory(byteCount: Int) throws(ControlError) -> MemoryFile {
        let descriptor = try self.take()
        do throws(SystemCallError) {
            return try MemoryFile.adopt(descriptor, byteCount: byteCount)
        } catch {
            throw .protocolViolation("a descriptor is not the memory that was said: \(error)")
        }
    }

    mutating func takeEvent() throws(ControlError) -> SignalSocket {
        SignalSocket(adopting: try self.take())
    }

    /// The four descriptors of a pair, as ``ControlResponse`` orders them.
    mutating func takePair() throws(ControlError) -> PairResources {
        let incomingArray = try self.takeMemory(byteCount: Page.byteCount)
        let outgoingArray = try self.takeMemory(byteCount: Page.byteCount)
        let incomingEvent = try self.takeEvent()
        return PairResources(
            incomingArray: incomingArray, outgoingArray: outgoingArray, incomingEvent: incomingEvent,
            outgoingEvent: try self.takeEvent())
    }

    deinit {
        for number in self.numbers {
            _ = OwnedDescriptor(adopting: number)
        }
    }
}
