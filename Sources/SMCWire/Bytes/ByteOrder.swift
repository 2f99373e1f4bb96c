/// The order of the two bytes of a 16-bit field that Linux writes without swapping (PROTOCOL 3.1, T3).
///
/// We send ``big`` unless told otherwise and accept both.
package enum ByteOrder: Hashable, Sendable {
    /// Most significant byte first, as RFC 7609 has it.
    case big
    /// Least significant byte first, as Linux on x86 and ARM sends it.
    case little
}
