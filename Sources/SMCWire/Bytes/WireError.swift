/// Why bytes from a peer are not the message they claim to be.
///
/// A decoder throws this for anything a peer can send; it never traps. The numbers are those that were received.
package enum WireError: Error, Hashable, Sendable {
    /// The bytes end before the field that is read next.
    case truncated(needed: Int, available: Int)
    /// The length that a message has or claims does not fit its kind, its version or its counts.
    case wrongLength(Int, expected: Int)
    /// No message has this type; the value is the whole type byte.
    case unknownType(UInt8)
    /// The version nibble is neither 1 nor 2.
    case unknownVersion(UInt8)
    /// The four bytes where an eye catcher belongs are not one.
    case badEyeCatcher(UInt32)
    /// A field holds a value that its message does not allow: an offset or count that lies, a code without meaning.
    case badValue(field: String, value: UInt64)
    /// A cursor jumps further ahead than its buffer is long.
    case cursorTooFar(byteCount: UInt64, elementSize: Int)
}

extension WireError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .truncated(let needed, let available):
            "the message ends too early: \(needed) more bytes are needed, \(available) are there"
        case .wrongLength(let length, let expected):
            "the message is \(length) bytes long where \(expected) are expected"
        case .unknownType(let type):
            "no message has type 0x\(String(type, radix: 16))"
        case .unknownVersion(let version):
            "version \(version) of the protocol is not known; 1 and 2 are"
        case .badEyeCatcher(let value):
            "0x\(String(value, radix: 16)) is not an SMC eye catcher"
        case .badValue(let field, let value):
            "the field \(field) cannot be \(value) here"
        case .cursorTooFar(let byteCount, let elementSize):
            "the cursor moves by \(byteCount) bytes in a buffer of \(elementSize)"
        }
    }
}
