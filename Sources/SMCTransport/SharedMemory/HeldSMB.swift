internal import SMCControl
internal import SMCMemory
internal import SMCSystem
internal import SMCWire
internal import Synchronization

/// An SMB that we own or have accepted: its memory, and our right to it.
///
/// The right ends with the hypervisor that gave it, the memory does not. So the descriptor is kept as well: it is what
/// the next hypervisor is shown.
final class HeldSMB: Sendable {
    /// The newest token, which is good for one session only.
    enum Right: Sendable {
        case owner(OwnerToken)
        case peer(BufferToken)
    }

    private final class Memory: Sendable {
        let file: MemoryFile

        init(_ file: consuming MemoryFile) {
            self.file = file
        }
    }

    private struct State {
        /// Nil once it is let go.
        var memory: Memory?
        var right: Right
        /// Nil when the last hypervisor did not take it.
        var session: HypervisorSession?
    }

    /// Under which the partition remembers it.
    let number: UInt64
    let mapping: Mapping
    private let ringByteCount: Int
    private let vlan: VLANID?
    private let state: Mutex<State>

    init(
        _ file: consuming MemoryFile, number: UInt64, ringByteCount: Int, on vlan: VLANID?, _ right: Right,
        of session: HypervisorSession
    ) throws(SystemCallError) {
        self.number = number
        FaultPoint.reach("map")
        self.mapping = try BufferElement.map(file, ringByteCount: ringByteCount)
        FaultPoint.reach("mapped")
        self.ringByteCount = ringByteCount
        self.vlan = vlan
        self.state = Mutex(State(memory: Memory(file), right: right, session: session))
    }

    // The calls of the hypervisor below block, so they are made on the worker; it makes them one after the other.

    /// The one that knows this SMB; nil when none does.
    var session: HypervisorSession? {
        self.state.withLock { $0.session }
    }

    /// Closes the memory; the mapping was detached before. No hypervisor is shown it from now on.
    func closeMemory() {
        self.state.withLock { $0.memory = nil }
        FaultPoint.reach("closed")
    }

    /// Gives the right back to the hypervisor that knows the SMB, after ``closeMemory()``.
    func giveBack(to session: HypervisorSession) throws(ControlError) {
        switch self.state.withLock({ $0.right }) {
        case .owner(let token): try session.destroy(token)
        case .peer(let token): try session.unbind(token)
        }
    }

    /// Enters it into the books of another hypervisor.
    ///
    /// - Throws: what ends the session. A hypervisor that refuses this SMB is as good as any for the others.
    func reregister(_ session: HypervisorSession, _ membership: Membership) throws(ControlError) {
        try self.state.withLock { (state) throws(ControlError) in
            state.session = nil
            let address = membership.addresses.first { $0.vlan == self.vlan }?.smgid
            guard let address, let memory = state.memory else { return }
            do throws(ControlError) {
                switch state.right {
                case .owner:
                    state.right = .owner(
                        try session.reregisterOwned(memory.file, ringByteCount: self.ringByteCount, on: address))
                case .peer:
                    state.right = .peer(
                        try session.reregisterAccepted(memory.file, ringByteCount: self.ringByteCount, on: address))
                }
                state.session = session
            } catch {
                guard case .refused = error else { throw error }
            }
        }
    }
}

/// An SMB that is nobody's any more need not be shown to anybody.
struct WeakHeldSMB: Sendable {
    weak let smb: HeldSMB?
}

extension Membership {
    /// The VLAN of an address of ours.
    func vlan(of address: SMGID) -> VLANID? {
        self.addresses.first { $0.smgid == address }?.vlan
    }
}
