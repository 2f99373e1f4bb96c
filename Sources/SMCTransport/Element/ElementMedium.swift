internal import SMCWire

/// The instruction that stores into the peer's element: what differs between a common CEC and two CECs.
///
/// An enum of final classes and not a protocol: the compiler sees through it on the hot path.
package enum ElementMedium: Sendable {
    case sharedMemory(SharedMemoryMedium)
    case rdma(RDMAMedium)

    /// What we store is at once in the peer's element, its words included.
    var isDirect: Bool {
        switch self {
        case .sharedMemory: true
        case .rdma: false
        }
    }

    /// Tells the peer how far its ring is filled, if that takes a message.
    ///
    /// - Parameter ringIsFull: the write took all the room there was.
    func publishProducer(_ cursor: UInt64, ringIsFull: Bool) {
        if case .rdma(let medium) = self { medium.publishProducer(cursor, ringIsFull: ringIsFull) }
    }

    /// Tells the peer how far we have read, if that takes a message and is worth it.
    ///
    /// - Parameters:
    ///   - produced: how far the peer had written.
    ///   - isUrgent: it is worth it.
    func publishConsumer(_ cursor: UInt64, produced: UInt64, isUrgent: Bool = false) {
        if case .rdma(let medium) = self {
            medium.publishConsumer(cursor, produced: produced, isUrgent: isUrgent)
        }
    }

    /// Interrupts the peer, if that is not done by a message.
    func signal() {
        if case .sharedMemory(let medium) = self { medium.signal() }
    }

    /// Tells the peer about our end of the connection.
    func publishState(_ flags: ConnectionStateFlags) {
        switch self {
        case .sharedMemory(let medium): medium.publishState(flags)
        case .rdma(let medium): medium.publishState(flags)
        }
    }

    /// All that was published has reached the peer's memory.
    var isFlushed: Bool {
        switch self {
        case .sharedMemory: true
        case .rdma(let medium): medium.isFlushed
        }
    }
}
