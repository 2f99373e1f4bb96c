/// Where the words of an SMB element lie (seed A13), drawn in Docs/MemoryLayout.md and frozen by a test.
///
///     offset  size  field             only writer
///          0     8  magic             owner, before the element is offered
///          8     8  ring byte count   owner, before the element is offered
///         64    16  challenge         owner, before the element is offered
///         80    16  response          peer, once
///        128     8  producer word     peer publishes; owner sets and clears the sleepers
///        136     8  tail's tag        peer
///        144    48  tail              peer
///        256     8  consumer word     peer publishes; owner sets and clears the sleepers
///        384     4  state word        peer
///        512     8  wake position     owner
///       4096     n  ring              peer
///
/// *Owner* is the partition in whose SMB the element lies, the receiver of its ring; *peer* is the other end. The
/// consumer word tells how far the peer has read in *its* element, into which the owner writes.
package enum BufferElementLayout {
    /// "SMBE" and the layout's version.
    package static let magic: UInt64 = 0x534d_4245_0000_0002
    package static let magicOffset = 0
    package static let ringByteCountOffset = 8
    package static let challengeOffset = 64
    package static let responseOffset = 80
    // Words that different sides write lie 128 bytes apart: processors fetch lines in pairs.
    package static let producerWordOffset = 128
    // In the line of the producer word, so that it brings a small message along.
    package static let tailTagOffset = 136
    package static let tailOffset = 144
    package static let tailByteCount = 48
    package static let consumerWordOffset = 256
    package static let stateWordOffset = 384
    package static let wakePositionOffset = 512
    /// Bytes of the control area that hold words; the page behind them is empty.
    package static let wordsByteCount = 640
    /// Bytes in front of the ring: one page, so that the ring can be registered and mapped by itself.
    package static let controlByteCount = 4096
    /// The smallest and the largest ring; every ring is a power of two between them.
    package static let ringByteCountRange = 16_384...536_870_912

    /// Whether a ring may have this size.
    package static func isValid(ringByteCount: Int) -> Bool {
        Self.ringByteCountRange.contains(ringByteCount) && ringByteCount & (ringByteCount - 1) == 0
    }
}
