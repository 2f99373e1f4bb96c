internal import CSMCShims
internal import Glibc

/// One end of a pair of sockets that two parties who do not trust each other wake each other with.
///
/// Not an eventfd: its two users share one open file, so that either can make it blocking (fcntl(2), O_NONBLOCK) and
/// fill or drain it, and then the other's next call never returns. Here each party has an open file of its own, and each
/// call says by itself that it must not wait.
package struct SignalSocket: ~Copyable, Sendable {
    package let descriptor: OwnedDescriptor

    /// Takes over an end that another process sent.
    package init(adopting descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Two ends.
    package struct Pair: ~Copyable, Sendable {
        package let low: SignalSocket
        package let high: SignalSocket
    }

    /// Makes two ends that reach each other, and that nobody else can reach.
    package static func makePair() throws(SystemCallError) -> Pair {
        var numbers: [Int32] = [-1, -1]
        // Datagrams: the end of one party is no news at the other end, which level-triggered polling would tell for ever.
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        // SAFETY: the kernel writes two numbers into an array of two.
        _ = try retrying("socketpair") { unsafe socketpair(AF_UNIX, kind, 0, &numbers) }
        return Pair(
            low: SignalSocket(adopting: OwnedDescriptor(adopting: numbers[0])),
            high: SignalSocket(adopting: OwnedDescriptor(adopting: numbers[1])))
    }

    /// Wakes whoever waits at the other end. A full queue is already a signal, and whoever is not there needs none, so
    /// errors do not matter.
    package borrowing func signal() {
        var one: UInt8 = 1
        // SAFETY: one byte of our own is read.
        _ = unsafe send(self.descriptor.rawValue, &one, 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    }

    /// Takes signals back, so that the descriptor is not readable until the next one.
    ///
    /// - Returns: false when there may be more, for a peer that signals faster than we take must not keep us here: the
    ///   descriptor is readable then.
    @discardableResult
    package borrowing func clear() -> Bool {
        var byte: UInt8 = 0
        for _ in 0..<Self.signalsPerClear {
            // SAFETY: at most one byte of our own is written; the rest of a longer datagram is dropped, and so are
            // descriptors that come with it, because there is no room for them.
            let count = unsafe recv(self.descriptor.rawValue, &byte, 1, Int32(MSG_DONTWAIT))
            if count < 0 { return true }
        }
        return false
    }

    private static let signalsPerClear = 16
}
