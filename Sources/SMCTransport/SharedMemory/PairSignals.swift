package import SMCControl
internal import SMCMemory
package import SMCSystem
package import SMCWire
internal import Synchronization

/// SIGB between us and one other partition (seed A20, A21, A33): a status bit array and a
/// socket in each direction.
package final class PairSignals: Sendable {
    private let incoming: StatusBitArray
    private let outgoing: StatusBitArray
    private let resources: PairResources
    private let loop: EventLoop

    /// What waits for a bit: a connection, or somebody who sets one up.
    package typealias Listener = @Sendable () -> Void
    /// Called when the other partition is gone, as the hypervisor says.
    package typealias GoneHandler = @Sendable (PairSignals) -> Void

    private struct State {
        /// By bit, with the SMB that has the bit at the moment.
        var listeners: [Int: (owner: OwnerToken, body: Listener)] = [:]
        var key: EventLoop.Key?
    }
    private let state = Mutex(State())
    private let whenGone: GoneHandler

    package init(
        _ resources: consuming PairResources, loop: EventLoop, whenGone: @escaping GoneHandler
    ) throws(ControlError) {
        let key: EventLoop.Key
        do throws(SystemCallError) {
            guard let incoming = StatusBitArray.open(try Mapping(resources.incomingArray)),
                let outgoing = StatusBitArray.open(try Mapping(resources.outgoingArray))
            else { throw SystemCallError(call: "status bit array of another layout", errno: Errno.badMessage) }
            self.incoming = incoming
            self.outgoing = outgoing
        } catch {
            throw .system(error)
        }
        self.resources = resources
        self.loop = loop
        self.whenGone = whenGone
        do throws(SystemCallError) {
            key = try loop.add(self.resources.incomingEvent.descriptor.rawValue, for: .readable) { [weak self] _ in
                self?.arrived()
            }
        } catch {
            throw .system(error)
        }
        self.state.withLock { $0.key = key }
    }

    deinit {
        if let key = self.state.withLock({ $0.key }) { self.loop.remove(key) }
    }

    /// Interrupts the other partition about one of its SMBs.
    package func signal(bit: Int) {
        // A bit that is set already has its signal on the way.
        if self.outgoing.set(bit) { self.resources.outgoingEvent.signal() }
    }

    /// Has `listener` called, on the event loop's thread, when the bit of one of our SMBs is set.
    package func listen(bit: Int, of owner: OwnerToken, _ listener: @escaping Listener) {
        // The one before goes outside of the lock: it may hold what uses this object when it goes.
        let old = self.state.withLock { $0.listeners.updateValue((owner, listener), forKey: bit) }
        withExtendedLifetime(old) {}
    }

    /// Ends that. A bit is given out again when the peer has let its SMB go, which may be before we do: the new SMB's
    /// listener stays.
    package func stopListening(bit: Int, of owner: OwnerToken) {
        let old = self.state.withLock { state in
            state.listeners[bit]?.owner == owner ? state.listeners.removeValue(forKey: bit) : nil
        }
        withExtendedLifetime(old) {}
    }

    /// Whether the hypervisor said that we may not share memory with the other partition any more.
    package var isRevoked: Bool { self.incoming.isRightRevoked }

    private func arrived() {
        // Cleared before the bits are taken: a bit set after the taking comes with a new signal.
        self.resources.incomingEvent.clear()
        self.incoming.takeAll { bit in
            // A bit that nobody listens to is a peer's mistake, or of an SMB that we have just given back.
            self.state.withLock { $0.listeners[bit] }?.body()
        }
        guard self.incoming.isCounterpartGone else { return }
        let (all, key) = self.state.withLock { state in
            (Array(state.listeners.values), state.key.take())
        }
        if let key { self.loop.remove(key) }
        for listener in all { listener.body() }
        self.whenGone(self)
    }
}
