/// Any message of the rendezvous over TCP that comes before a connection uses shared memory (PROTOCOL 2).
package enum CLCMessage: Hashable, Sendable {
    case proposal(Proposal)
    case accept(Accept)
    case confirm(Confirm)
    case decline(Decline)

    /// From exactly the bytes of one message.
    ///
    /// Reserved fields are ignored, and either eye catcher is accepted at either end.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        let header = try CLCHeader(reading: &reader)
        guard header.length <= bytes.count else {
            throw .truncated(needed: header.length - bytes.count, available: bytes.count)
        }
        guard header.length == bytes.count else { throw .wrongLength(bytes.count, expected: header.length) }
        switch header.type {
        case .proposal: self = .proposal(try Proposal(header, reading: &reader))
        case .accept: self = .accept(try Accept(header, reading: &reader))
        case .confirm: self = .confirm(try Confirm(header, reading: &reader))
        case .decline: self = .decline(try Decline(header, reading: &reader))
        }
        _ = try EyeCatcher(reading: &reader)
        try reader.expectEnd()
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        switch self {
        case .proposal(let message): message.encoded()
        case .accept(let message): message.encoded()
        case .confirm(let message): message.encoded()
        case .decline(let message): message.encoded()
        }
    }

    package var type: CLCMessageType {
        switch self {
        case .proposal: .proposal
        case .accept: .accept
        case .confirm: .confirm
        case .decline: .decline
        }
    }
}
