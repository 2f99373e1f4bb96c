internal import SMCMemory
internal import Synchronization

extension ElementTransport {
    // MARK: Threads that wait

    /// Blocks the thread until `wanted` bytes wait, or something else is to be seen.
    ///
    /// - Returns: false when the deadline passed.
    func blockForBytes(_ wanted: Int, until deadline: ContinuousClock.Instant?) -> Bool {
        _ = self.sleepingThreads.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { _ = self.sleepingThreads.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        guard let seen = self.armForBytes(wanted, .thread) else {
            self.own.disarmProducer()
            return true
        }
        guard let timeout = Self.timeout(until: deadline) else {
            self.own.disarmProducer()
            return false
        }
        self.own.sleepOnProducer(seen, timeout: timeout.value)
        self.own.disarmProducer()
        return true
    }

    /// Blocks the thread until there is room for `wanted` bytes, or something else is to be seen.
    ///
    /// - Returns: false when the deadline passed.
    func blockForRoom(_ wanted: Int, until deadline: ContinuousClock.Instant?) throws(TransportError) -> Bool {
        _ = self.sleepingThreads.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { _ = self.sleepingThreads.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        guard let seen = try self.armForRoom(wanted, .thread) else {
            self.own.disarmConsumer()
            return true
        }
        guard let timeout = Self.timeout(until: deadline) else {
            self.own.disarmConsumer()
            return false
        }
        self.own.sleepOnConsumer(seen, timeout: timeout.value)
        self.own.disarmConsumer()
        return true
    }

    private struct Timeout {
        /// Nil: without limit.
        var value: Duration?
    }

    /// - Returns: nil when the deadline has passed.
    private static func timeout(until deadline: ContinuousClock.Instant?) -> Timeout? {
        guard let deadline else { return Timeout(value: nil) }
        let remaining = ContinuousClock.now.duration(to: deadline)
        return remaining > .zero ? Timeout(value: remaining) : nil
    }
}
