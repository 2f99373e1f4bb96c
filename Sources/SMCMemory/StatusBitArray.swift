package import SMCSystem
internal import Synchronization

/// A mapped status bit array (seed A21, A54, A55): whoever has work for us sets a bit, and we take all bits at once.
///
/// Nothing in it is trusted: a counterpart can set any bit at any time, which costs the taker a look at an SMB where
/// there is nothing.
@safe
package final class StatusBitArray: Sendable {
    private typealias Layout = StatusBitArrayLayout

    private let mapping: Mapping

    private init(_ mapping: Mapping) {
        self.mapping = mapping
    }

    /// Begins an array in a fresh page of zeros. The hypervisor does it before it gives the page to anybody.
    ///
    /// - Returns: nil when the mapping has less bytes than an array.
    package static func create(in mapping: Mapping) -> StatusBitArray? {
        guard mapping.byteCount >= Layout.byteCount else { return nil }
        let array = StatusBitArray(mapping)
        // SAFETY: the offset is that of the layout.
        unsafe array.withWord(at: Layout.magicOffset) { $0.store(Layout.magic, ordering: .releasing) }
        return array
    }

    /// Uses an array that came from the hypervisor.
    ///
    /// - Returns: nil when it is none, or one with another layout than ours.
    package static func open(_ mapping: Mapping) -> StatusBitArray? {
        guard mapping.byteCount >= Layout.byteCount else { return nil }
        let array = StatusBitArray(mapping)
        // SAFETY: the offset is that of the layout.
        let magic = unsafe array.withWord(at: Layout.magicOffset) { $0.load(ordering: .acquiring) }
        return magic == Layout.magic ? array : nil
    }

    /// Runs `body` with an 8-byte word of the page.
    /// - Safety: `offset` is a multiple of 8 below the page's size.
    @unsafe
    private func withWord<Result>(at offset: Int, _ body: (borrowing Atomic<UInt64>) -> Result) -> Result {
        // SAFETY: the page is aligned and as long as the caller promises; the mapping is kept until after the access,
        // because its address alone would not keep it.
        withExtendedLifetime(self.mapping) {
            unsafe body(($0.baseAddress + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee)
        }
    }

    /// Says that there is something to look at in the SMB with this bit.
    ///
    /// SYNC(status-bit): pairs with ``takeAll(_:)``; what was stored before is visible to whoever takes the bit.
    /// - Returns: false when the bit was set already, or there is no such bit: then no signal is needed.
    @discardableResult
    package func set(_ bit: Int) -> Bool {
        guard bit >= 0, bit < Layout.bitCount else { return false }
        let mask: UInt64 = 1 << UInt64(bit % 64)
        // SAFETY: the bit was checked, so the word is in the page; atomics tolerate a racing counterpart.
        return unsafe self.withWord(at: Layout.bitsOffset + bit / 64 * 8) {
            $0.bitwiseOr(mask, ordering: .acquiringAndReleasing).oldValue & mask == 0
        }
    }

    /// Takes all bits that are set, lowest first, and clears them.
    ///
    /// SYNC(status-bit): pairs with ``set(_:)``. Clear the event descriptor before, not after: a bit that is set in
    /// between then signals again.
    package func takeAll(_ body: (Int) -> Void) {
        for index in 0..<Layout.wordCount {
            // SAFETY: the index is below the number of words; atomics tolerate a racing counterpart.
            var bits = unsafe self.withWord(at: Layout.bitsOffset + index * 8) {
                $0.load(ordering: .relaxed) == 0 ? 0 : $0.exchange(0, ordering: .acquiringAndReleasing)
            }
            while bits != 0 {
                body(index * 64 + bits.trailingZeroBitCount)
                bits &= bits - 1
            }
        }
    }

    /// Whether the hypervisor said that the counterpart is gone.
    ///
    /// SYNC(counterpart-gone): pairs with ``markCounterpartGone()``.
    package var isCounterpartGone: Bool {
        // SAFETY: the offset is that of the layout.
        unsafe self.withWord(at: Layout.stateOffset) { $0.load(ordering: .acquiring) } != Layout.live
    }

    /// Whether it is gone because an administrator took the right to share memory away, from it or from us.
    package var isRightRevoked: Bool {
        // SAFETY: the offset is that of the layout.
        unsafe self.withWord(at: Layout.stateOffset) { $0.load(ordering: .acquiring) } == Layout.rightRevoked
    }

    /// Says that the counterpart is gone. Only the hypervisor does, and it signals the event descriptor after.
    ///
    /// SYNC(counterpart-gone): pairs with ``isCounterpartGone``.
    /// - Parameter isRevoked: an administrator decided it.
    package func markCounterpartGone(isRevoked: Bool = false) {
        let state = isRevoked ? Layout.rightRevoked : Layout.counterpartGone
        // SAFETY: the offset is that of the layout.
        unsafe self.withWord(at: Layout.stateOffset) { $0.store(state, ordering: .releasing) }
    }
}
