import SMCWire
import Testing

/// The bytes of one message, and where they come from.
struct Frame: Sendable, CustomTestStringConvertible {
    var source: String
    var bytes: [UInt8]

    /// - Parameter hexadecimal: digits; white space does not count. A group `00*13` stands for 13 zero bytes.
    init(_ source: String, _ hexadecimal: String) {
        self.source = source
        self.bytes = hexadecimal.split(whereSeparator: \.isWhitespace).flatMap { group in
            let parts = group.split(separator: "*")
            let digits = Array(parts[0])
            let bytes = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(digits[$0...$0 + 1]), radix: 16)!
            }
            return parts.count == 2 ? (0..<Int(parts[1])!).flatMap { _ in bytes } : bytes
        }
    }

    var testDescription: String { self.source }

    /// CLC messages start with an eye catcher, others do not.
    var isCLC: Bool { self.bytes[0] == 0xe2 }
}

/// Any message of this module.
enum AnyMessage: Hashable {
    case clc(CLCMessage)
    case link(LinkFrame)

    init(decoding bytes: [UInt8]) throws(WireError) {
        if bytes.first == 0xe2 {
            self = .clc(try CLCMessage(decoding: bytes))
        } else {
            self = .link(try LinkFrame(decoding: bytes))
        }
    }

    func encoded() -> [UInt8] {
        switch self {
        case .clc(let message): message.encoded()
        case .link(let frame): frame.encoded()
        }
    }
}

/// The message in `bytes`, or nil if it is refused. What is taken must survive being sent on.
func decodeAndCheck(_ bytes: [UInt8]) -> AnyMessage? {
    guard let message = try? AnyMessage(decoding: bytes) else { return nil }
    let again = try? AnyMessage(decoding: message.encoded())
    if again != message {
        Issue.record("\(message) became \(String(describing: again)) on the way: \(bytes)")
    }
    return message
}
