package import SMCMemory
internal import SMCSystem
internal import SMCWire

/// SM Move, SM CS Move and SIGB (seed A31-A33): stores straight into the peer's element.
package final class SharedMemoryMedium: Sendable {
    private let peer: BufferElement
    private let signals: PairSignals
    /// The bit that says "something in the peer's SMB changed".
    private let bit: Int

    package init(peer: BufferElement, signals: PairSignals, bit: Int) {
        self.peer = peer
        self.signals = signals
        self.bit = bit
    }

    @inline(__always)
    func publishProducer(_ cursor: UInt64) {
        FaultPoint.reach("publish", cursor)
        let isAsleep = self.peer.publishProducer(cursor)
        FaultPoint.reach("published", cursor)
        if isAsleep { self.signals.signal(bit: self.bit) }
    }

    @inline(__always)
    func publishConsumer(_ cursor: UInt64) {
        FaultPoint.reach("consume", cursor)
        let isAsleep = self.peer.publishConsumer(cursor)
        FaultPoint.reach("consumed", cursor)
        if isAsleep { self.signals.signal(bit: self.bit) }
    }

    func publishState(_ flags: ConnectionStateFlags) {
        FaultPoint.reach("end", UInt64(flags.rawValue))
        self.peer.publishState(UInt32(flags.rawValue))
        FaultPoint.reach("ended", UInt64(flags.rawValue))
        self.signals.signal(bit: self.bit)
    }
}
