import ArgumentParser

/// Who is measured.
enum Contender: String, CaseIterable, ExpressibleByArgument {
    case ours
    /// Ours, built without the checks of what a peer writes.
    case unchecked
    case ring = "c-ring"
    case line = "raw-line"
    case futex
    case memcpy
    case unixStream = "unix-stream"
    case unixSeqpacket = "unix-seqpacket"
    case pipe
    case tcp
    case ucxTag = "ucx-tag"
    case ucxStream = "ucx-stream"
    case ucxActiveMessage = "ucx-am"

    var isUCX: Bool { self.rawValue.hasPrefix("ucx") }

    /// For people.
    var title: String {
        switch self {
        case .ours: "swift-smc"
        case .unchecked: "swift-smc without validation"
        case .ring: "C reference ring"
        case .line: "raw cache line"
        case .futex: "futex"
        case .memcpy: "memcpy"
        case .unixStream: "Unix stream"
        case .unixSeqpacket: "Unix seqpacket"
        case .pipe: "pipe"
        case .tcp: "TCP loopback"
        case .ucxTag: "UCX tag"
        case .ucxStream: "UCX stream"
        case .ucxActiveMessage: "UCX am"
        }
    }
}

/// What is done. Every pattern yields nanoseconds for one operation.
enum Pattern: String, CaseIterable, ExpressibleByArgument {
    /// One message there and one back; half of it is the result.
    case pingPong = "ping-pong"
    /// Messages one way, as fast as they go; the last one is acknowledged.
    case stream
    /// As `pingPong`, with messages instead of bytes.
    case messagePingPong = "message-ping-pong"
    /// As `pingPong`, by asynchronous calls and with adaptive waiting.
    case asyncPingPong = "async-ping-pong"
    /// As `stream`, with messages instead of bytes.
    case messages
    /// The program makes data and sends it; at the other end it is read, every byte. With copies in between.
    case copying
    /// As `copying`, made in reserved room and read where it lies.
    case borrowing
    /// One message to a peer that sleeps; until it has read it.
    case wake
    /// As `pingPong`, over a thousand connections in turn.
    case thousand
    /// As `thousand`, with one connection.
    case oneOfThousand = "one-of-thousand"

    /// Operations for one step of a pattern, for the time that it takes.
    var operationsPerStep: Double {
        switch self {
        case .pingPong, .messagePingPong, .asyncPingPong, .thousand, .oneOfThousand: 2
        case .stream, .messages, .copying, .borrowing, .wake: 1
        }
    }

    /// Steps of the first try, which says how many the others take.
    var firstCount: Int {
        switch self {
        case .wake: 20
        case .copying, .borrowing: 200
        default: 2000
        }
    }
}

/// One thing that is measured once in each round.
struct Measurement: Hashable {
    var contender: Contender
    var pattern: Pattern
    var size: Int

    init(_ contender: Contender, _ pattern: Pattern, _ size: Int = 8) {
        self.contender = contender
        self.pattern = pattern
        self.size = size
    }
}

extension Measurement: CustomStringConvertible {
    var description: String { "\(self.contender.title), \(self.pattern.rawValue), \(self.size) B" }
}
