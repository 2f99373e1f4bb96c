/// Why the bytes of a control message were refused. Bytes of the other side never trap.
package enum ControlWireError: Error, Hashable, Sendable {
    /// Fewer bytes than a header has.
    case shorterThanHeader(byteCount: Int)
    /// The first bytes are not ours: whoever is there speaks something else.
    case notControl(magic: UInt32)
    /// A later or earlier form of the protocol; the request is answered with that number, then the socket closes.
    case unsupportedVersion(UInt16)
    /// The length in the header is not the length that arrived.
    case wrongLength(said: Int, arrived: Int)
    /// No message has this type.
    case unknownType(UInt16)
    /// The body ends before its last field.
    case truncatedBody
    /// Bytes are left after the last field.
    case excessBytes(Int)
    /// A field holds what it may not.
    case invalidField(String)
}

extension ControlWireError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .shorterThanHeader(let count):
            "a control message of \(count) bytes is shorter than its header of \(ControlHeader.byteCount)"
        case .notControl(let magic):
            "these are not control messages (they begin with 0x\(String(magic, radix: 16)))"
        case .unsupportedVersion(let version):
            "version \(version) of the control messages is not known here, only \(ControlHeader.version)"
        case .wrongLength(let said, let arrived):
            "a control message says that it has \(said) bytes, but \(arrived) arrived"
        case .unknownType(let type): "no control message has type \(type)"
        case .truncatedBody: "a control message ends before its last field"
        case .excessBytes(let count): "a control message has \(count) bytes after its last field"
        case .invalidField(let field): "a control message has an invalid \(field)"
        }
    }
}
