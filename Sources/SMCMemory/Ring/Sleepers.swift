/// Who must be woken when a word of an element changes: its lowest bits.
///
/// A plain struct: over module boundaries an option set is asked by way of its protocol.
package struct Sleepers: Hashable, Sendable {
    package let rawValue: UInt64

    @inline(__always)
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let none = Sleepers(rawValue: 0)
    /// Somebody waits for the signal: a task, or whoever watches a descriptor.
    package static let signal = Sleepers(rawValue: 1)
    /// A thread sleeps on the word itself (futex).
    package static let thread = Sleepers(rawValue: 2)

    package var isEmpty: Bool { self.rawValue == 0 }
    /// Somebody waits for the signal.
    package var wantSignal: Bool { self.rawValue & 1 != 0 }
    /// A thread sleeps on the word.
    package var wantFutex: Bool { self.rawValue & 2 != 0 }

    /// Bits of a word below its cursor: the sleepers, and the mark.
    static let bitCount: UInt64 = 3
    static let mask: UInt64 = 3
    /// Left by the owner that takes its sleepers back, so that the peer, which may be about to let them sleep on, finds
    /// another word than the one that it published.
    static let mark: UInt64 = 4
}
