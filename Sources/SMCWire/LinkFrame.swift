/// What one RDMA SEND over a link brings: the first byte tells CDC from LLC (PROTOCOL 3.1).
package enum LinkFrame: Hashable, Sendable {
    case llc(LLCMessage)
    case cdc(CDCMessage)

    /// From exactly the bytes that one SEND brought.
    ///
    /// - Throws: ``WireError/unknownType(_:)`` when the first byte is neither CDC's nor that of an LLC message; ignore
    ///   such a frame.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        if bytes.first == CDCMessage.firstByte {
            self = .cdc(try CDCMessage(decoding: bytes))
        } else {
            self = .llc(try LLCMessage(decoding: bytes))
        }
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        switch self {
        case .llc(let message): message.encoded()
        case .cdc(let message): message.encoded()
        }
    }
}
