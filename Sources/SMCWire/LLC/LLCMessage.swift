/// Any message by which two hosts look after the links between them; one RDMA SEND each (PROTOCOL 3).
///
/// A response is its request with the response bit set and some fields replaced.
package enum LLCMessage: Hashable, Sendable {
    case confirmLink(ConfirmLink)
    case addLink(AddLink)
    case addLinkContinuation(AddLinkContinuation)
    case deleteLink(DeleteLink)
    case requestAddLink(RequestAddLink)
    case confirmRKey(ConfirmRKey)
    case confirmRKeyContinuation(ConfirmRKeyContinuation)
    case testLink(TestLink)
    case deleteRKey(DeleteRKey)

    /// From exactly the bytes that one SEND brought.
    ///
    /// Reserved fields are ignored. In version 2 the length may be in either byte order (trap T3).
    /// - Throws: ``WireError/unknownType(_:)`` when the first byte is that of no LLC message; ignore such a message.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        let header = try LLCHeader(reading: &reader)
        switch header.type {
        case .confirmLink: self = .confirmLink(try ConfirmLink(header, reading: &reader))
        case .addLink: self = .addLink(try AddLink(header, reading: &reader))
        case .addLinkContinuation: self = .addLinkContinuation(try AddLinkContinuation(header, reading: &reader))
        case .deleteLink: self = .deleteLink(try DeleteLink(header, reading: &reader))
        case .requestAddLink: self = .requestAddLink(try RequestAddLink(header, reading: &reader))
        case .confirmRKey: self = .confirmRKey(try ConfirmRKey(header, reading: &reader))
        case .confirmRKeyContinuation:
            self = .confirmRKeyContinuation(try ConfirmRKeyContinuation(header, reading: &reader))
        case .testLink: self = .testLink(try TestLink(header, reading: &reader))
        case .deleteRKey: self = .deleteRKey(try DeleteRKey(header, reading: &reader))
        }
        try reader.expectEndOfLLC()
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        switch self {
        case .confirmLink(let message): message.encoded()
        case .addLink(let message): message.encoded()
        case .addLinkContinuation(let message): message.encoded()
        case .deleteLink(let message): message.encoded()
        case .requestAddLink(let message): message.encoded()
        case .confirmRKey(let message): message.encoded()
        case .confirmRKeyContinuation(let message): message.encoded()
        case .testLink(let message): message.encoded()
        case .deleteRKey(let message): message.encoded()
        }
    }

    package var type: LLCMessageType {
        switch self {
        case .confirmLink: .confirmLink
        case .addLink: .addLink
        case .addLinkContinuation: .addLinkContinuation
        case .deleteLink: .deleteLink
        case .requestAddLink: .requestAddLink
        case .confirmRKey: .confirmRKey
        case .confirmRKeyContinuation: .confirmRKeyContinuation
        case .testLink: .testLink
        case .deleteRKey: .deleteRKey
        }
    }

    /// Whether this answers a request.
    package var isResponse: Bool {
        switch self {
        case .confirmLink(let message): message.isResponse
        case .addLink(let message): message.isResponse
        case .addLinkContinuation(let message): message.isResponse
        case .deleteLink(let message): message.isResponse
        case .requestAddLink(let message): message.isRefusal
        case .confirmRKey(let message): message.isResponse
        case .confirmRKeyContinuation(let message): message.isResponse
        case .testLink(let message): message.isResponse
        case .deleteRKey(let message): message.isResponse
        }
    }
}
