internal import SMCWire

/// The instruction that stores into the peer's element: what differs between a common CEC and two CECs.
///
/// An enum of final classes and not a protocol: the compiler sees through it on the hot path.
package enum ElementMedium: Sendable {
    case sharedMemory(SharedMemoryMedium)
    case rdma(RDMAMedium)

    var isWorthSpinning: Bool {
        switch self {
        case .sharedMemory: true
        case .rdma: false
        }
    }

    /// Tells the peer how far its ring is filled.
    ///
    /// - Parameter ringIsFull: the write took all the room there was.
    @inline(__always)
    func publishProducer(_ cursor: UInt64, ringIsFull: Bool) {
        switch self {
        case .sharedMemory(let medium): medium.publishProducer(cursor)
        case .rdma(let medium): medium.publishProducer(cursor, ringIsFull: ringIsFull)
        }
    }

    /// Tells the peer how far we have read, if it is worth telling.
    ///
    /// - Parameter produced: how far the peer had written.
    @inline(__always)
    func publishConsumer(_ cursor: UInt64, produced: UInt64) {
        switch self {
        case .sharedMemory(let medium): medium.publishConsumer(cursor)
        case .rdma(let medium): medium.publishConsumer(cursor, produced: produced)
        }
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
