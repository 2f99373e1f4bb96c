package import SMCMemory
internal import SMCSystem
internal import SMCWire

/// SIGB (seed A33), and the words of a peer's element that no hot path touches.
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

    /// Interrupts the peer: something in its SMB changed.
    func signal() {
        self.signals.signal(bit: self.bit)
    }

    func publishState(_ flags: ConnectionStateFlags) {
        FaultPoint.reach("end", UInt64(flags.rawValue))
        self.peer.publishState(UInt32(flags.rawValue))
        FaultPoint.reach("ended", UInt64(flags.rawValue))
        self.signals.signal(bit: self.bit)
    }
}
