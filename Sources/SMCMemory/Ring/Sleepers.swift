/// Who must be woken when a word of an element changes: its lowest bits.
package struct Sleepers: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64

    @inlinable
    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Somebody waits for the signal: a task, or whoever watches a descriptor.
    package static let signal = Sleepers(rawValue: 1)
    /// A thread sleeps on the word itself (futex).
    package static let thread = Sleepers(rawValue: 2)

    /// Bits of a word below its cursor.
    @usableFromInline static let bitCount: UInt64 = 2
    @usableFromInline static let mask: UInt64 = 3
}
