package import SMCSystem
internal import Synchronization

/// Words of shared memory that belong to no layout of ours: what SM CS Move works on (seed A32).
package enum SharedWord {
    /// Stores `desired` if the word holds `expected`.
    ///
    /// - Parameter offset: a multiple of 8, inside of the mapping; anything else traps.
    /// - Returns: what the word held before.
    package static func compareExchange(
        in mapping: Mapping, at offset: Int, expected: UInt64, desired: UInt64
    ) -> UInt64 {
        precondition(offset >= 0 && offset % 8 == 0 && offset + 8 <= mapping.byteCount, "a word outside of the mapping")
        // SAFETY: the word lies in the mapping and is aligned, as was just checked; the mapping is kept until after the
        // access; atomics tolerate a racing peer.
        return withExtendedLifetime(mapping) {
            unsafe ($0.baseAddress + offset).assumingMemoryBound(to: Atomic<UInt64>.self).pointee
                .compareExchange(expected: expected, desired: desired, ordering: .acquiringAndReleasing).original
        }
    }
}
