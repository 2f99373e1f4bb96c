internal import CSMCShims
internal import Glibc

/// A counter that wakes whoever waits for its descriptor (eventfd(2)); never blocks. For one process: between those who
/// do not trust each other there is ``SignalSocket``.
package struct EventDescriptor: ~Copyable, Sendable {
    package let descriptor: OwnedDescriptor

    package init() throws(SystemCallError) {
        self.descriptor = OwnedDescriptor(
            adopting: try retrying("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
    }

    /// Wakes the waiter. A counter at its limit is already a signal, so errors do not matter.
    package borrowing func signal() {
        var one: UInt64 = 1
        // SAFETY: eight bytes of our own are read.
        _ = unsafe Glibc.write(self.descriptor.rawValue, &one, 8)
    }

    /// Takes the signal back, so that the descriptor is not readable until the next one.
    package borrowing func clear() {
        var count: UInt64 = 0
        // SAFETY: at most eight bytes of our own are written.
        _ = unsafe Glibc.read(self.descriptor.rawValue, &count, 8)
    }
}
