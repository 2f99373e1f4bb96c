import Foundation
import SMC
import SMCSystem

/// Counts what a connection carries, and tells about it.
final class Report: @unchecked Sendable {
    // Sendable: the counters are only touched under the lock.
    private let lock = NSLock()
    private var sent = 0
    private var received = 0
    private let start = ContinuousClock.now
    private let path: Path
    private let decision: Decision
    private let peer: String

    init(_ connection: Connection) {
        self.path = connection.path
        self.decision = connection.decision
        self.peer = connection.peerAddress
    }

    func didSend(_ count: Int) {
        self.lock.withLock { self.sent += count }
    }

    func didReceive(_ count: Int) {
        self.lock.withLock { self.received += count }
    }

    /// What `--json` prints.
    private struct Summary: Encodable {
        var path: String
        var reason: String?
        var bytesSent: Int
        var bytesReceived: Int
        var seconds: Double
        var peer: String
        var error: String?

        enum CodingKeys: CodingKey {
            case path, reason, bytesSent, bytesReceived, seconds, peer, error
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(self.path, forKey: .path)
            try container.encode(self.reason, forKey: .reason)  // Null when there is none.
            try container.encode(self.bytesSent, forKey: .bytesSent)
            try container.encode(self.bytesReceived, forKey: .bytesReceived)
            try container.encode(self.seconds, forKey: .seconds)
            try container.encode(self.peer, forKey: .peer)
            try container.encodeIfPresent(self.error, forKey: .error)
        }
    }

    private var seconds: Double { (ContinuousClock.now - self.start) / .seconds(1) }

    /// One JSON object on one line.
    func json(error: String?) -> String {
        let (sent, received) = self.lock.withLock { (self.sent, self.received) }
        return jsonLine(
            Summary(
                path: self.path.rawValue, reason: self.decision.reason, bytesSent: sent, bytesReceived: received,
                seconds: self.seconds, peer: self.peer, error: error))
    }

    /// One line for a person.
    func line() -> String {
        let (sent, received) = self.lock.withLock { (self.sent, self.received) }
        let seconds = self.seconds
        let rate = Format.bytes(Int(Double(sent + received) / max(seconds, 1e-9))) + "/s"
        let time = String(format: "%.2f s", seconds)
        return
            "\(self.path.rawValue): sent \(Format.bytes(sent)), received \(Format.bytes(received)) in \(time), \(rate)"
    }

    /// Shows the line anew twice a second until the returned object is cancelled.
    func showProgress() -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: .global())
        timer.schedule(deadline: .now() + 0.5, repeating: 0.5)
        timer.setEventHandler { [self] in StandardStream.error.write("\r\u{1b}[K\(self.line())") }
        timer.activate()
        return timer
    }
}

/// A value as JSON on one line, keys in alphabetical order.
func jsonLine(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { return "{}" }
    return String(decoding: data, as: UTF8.self)
}

/// Numbers as people read them.
enum Format {
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : String(format: "%.1f %@", value, units[unit])
    }
}

/// One line on standard error, for a person.
func complain(_ text: String) {
    StandardStream.error.write("smc: \(text)\n")
}
