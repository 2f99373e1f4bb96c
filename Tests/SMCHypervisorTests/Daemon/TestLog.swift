import Foundation
import Logging

/// Keeps what was logged: the level, then the message.
final class TestLog: @unchecked Sendable {
    // Sendable: the lock guards the lines.
    private let lock = NSLock()
    private var kept: [String] = []

    var lines: [String] {
        self.lock.withLock { self.kept }
    }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(log: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let log: TestLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message)"
            self.log.lock.withLock { self.log.kept.append(line) }
        }
    }
}
