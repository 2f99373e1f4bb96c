/// Where everything is in a status bit array (seed A21): one page for each pair of partitions and direction, by which
/// one side tells the other in which SMBs there is something to look at.
///
///     offset  size  field                      only writer
///          0     8  magic and layout version   hypervisor, before anybody else has the page
///          8     8  state: 0 live, 1 gone,     hypervisor
///                   2 right revoked
///         16    48  zero
///         64  4032  504 words of 64 bits:      counterpart sets,
///                   bit b is bit (b mod 64)    owner of the page exchanges with 0
///                   of word (b div 64)
///
/// All words have the byte order of the machine: nobody but processes of this machine ever sees them.
package enum StatusBitArrayLayout {
    package static let byteCount = 4096
    /// "SMCSBA", layout 1.
    package static let magic: UInt64 = 0x534d_4353_4241_0001
    package static let magicOffset = 0
    package static let stateOffset = 8
    /// The bits begin a cache line of their own.
    package static let bitsOffset = 64
    package static let wordCount = (byteCount - bitsOffset) / 8
    package static let bitCount = wordCount * 64

    /// Values of the state word.
    package static let live: UInt64 = 0
    package static let counterpartGone: UInt64 = 1
    package static let rightRevoked: UInt64 = 2
}
