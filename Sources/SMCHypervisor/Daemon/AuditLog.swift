internal import Logging
internal import SMCSystem
internal import Synchronization

/// Writes the audit log: one JSON object in one line with one write, each. A thread of its own does it, so that a slow
/// disk does not hold up the hypervisor.
///
/// The file may be moved away at any time: before each line it is looked whether the path still leads to it. When a line
/// cannot be written it is kept, and tried again, as long as there is room for it; lines for which there is none are
/// counted, and their number is written once there is room again.
final class AuditLog: Sendable {
    private enum Limits {
        /// Bytes of lines that wait to be written.
        static let waitingByteCount = 4 << 20
        static let retryMilliseconds: Int32 = 200
        /// How long the end waits for lines that are not written yet.
        static let closing: Duration = .seconds(2)
    }

    private struct Waiting {
        var lines: [[UInt8]] = []
        /// Of all lines that are not written yet, also of those that the thread has taken.
        var byteCount = 0
        var lostCount = 0
        var isReopening = false
        var isClosing = false
        var isClosed = false
    }

    let path: String
    private let logger: Logger
    private let waiting = Mutex(Waiting())
    private let wakeups = Semaphore()

    /// Opens the file once, so that a wrong path shows at the start.
    init(path: String, logger: Logger) throws(SystemCallError) {
        self.path = path
        self.logger = logger
        _ = try AppendedFile.open(path)
        SystemThread.start(name: "smc-audit") { [self] in
            var writer = Writer(log: self)
            writer.run()
        }
    }

    /// Adds a line; never waits for the disk. From any thread.
    func record(_ line: JSONLine) {
        let bytes = line.bytes
        self.waiting.withLock { waiting in
            guard waiting.byteCount + bytes.count <= Limits.waitingByteCount else {
                waiting.lostCount += 1
                return
            }
            waiting.lines.append(bytes)
            waiting.byteCount += bytes.count
        }
        self.wakeups.post()
    }

    /// Opens the path anew before the next line, whether the file was moved or not.
    func reopen() {
        self.waiting.withLock { $0.isReopening = true }
        self.wakeups.post()
    }

    /// Writes what waits, for a while, and ends the thread.
    func close() {
        self.waiting.withLock { $0.isClosing = true }
        self.wakeups.post()
        let deadline = ContinuousClock.now.advanced(by: Limits.closing)
        while ContinuousClock.now < deadline, !self.waiting.withLock({ $0.isClosed }) {
            Process.sleep(milliseconds: 1)
        }
    }

    /// What the thread has.
    private struct Writer: ~Copyable {
        let log: AuditLog
        private var file: AppendedFile?
        private var lines: ArraySlice<[UInt8]> = []
        private var isFailing = false
        /// A line of which a part stands in the file is ended there, so that the next one stands alone.
        private var prefix: [UInt8] = []

        init(log: AuditLog) {
            self.log = log
        }

        mutating func run() {
            var isClosing = false
            while !isClosing {
                self.log.wakeups.wait()
                isClosing = self.take()
                while let line = self.lines.first, self.write(line) || self.mayRetry() {}
            }
            if !self.lines.isEmpty {
                self.log.logger.error("\(self.lines.count) lines of the audit log were not written")
            }
            self.log.waiting.withLock { $0.isClosed = true }
        }

        /// - Returns: whether this is the last time.
        private mutating func take() -> Bool {
            let (taken, isClosing) = self.log.waiting.withLock { waiting in
                defer {
                    waiting.lines = []
                    waiting.lostCount = 0
                    waiting.isReopening = false
                }
                return (waiting, waiting.isClosing)
            }
            if taken.isReopening { self.file = nil }
            self.lines = self.lines + taken.lines
            if taken.lostCount > 0 {
                var line = JSONLine()
                line.add("time", WallClock.now())
                line.add("event", "lost")
                line.add("count", taken.lostCount)
                self.log.waiting.withLock { $0.byteCount += line.bytes.count }
                self.lines.append(line.bytes)
            }
            return isClosing
        }

        private mutating func write(_ line: [UInt8]) -> Bool {
            do throws(SystemCallError) {
                if self.file?.isInPlace() != true { self.file = try AppendedFile.open(self.log.path) }
                let bytes = self.prefix + line
                let count = try self.file?.append(bytes) ?? 0
                guard count == bytes.count else {
                    if count > 0 { self.prefix = count > self.prefix.count ? [UInt8(ascii: "\n")] : [] }
                    throw SystemCallError(call: "write \(self.log.path)", errno: Errno.noSpace)
                }
            } catch {
                self.complain(error)
                return false
            }
            self.prefix = []
            self.lines.removeFirst()
            self.log.waiting.withLock { $0.byteCount -= line.count }
            if self.isFailing {
                self.isFailing = false
                self.log.logger.notice("the audit log is written again", metadata: ["file": "\(self.log.path)"])
            }
            return true
        }

        /// Waits a moment after a failure; false when the log is to be closed.
        private func mayRetry() -> Bool {
            if self.log.waiting.withLock({ $0.isClosing }) { return false }
            Process.sleep(milliseconds: Limits.retryMilliseconds)
            return true
        }

        /// Once for each trouble, not for each line.
        private mutating func complain(_ error: SystemCallError) {
            guard !self.isFailing else { return }
            self.isFailing = true
            self.log.logger.error(
                "the audit log cannot be written; it is tried again until it can: \(error)",
                metadata: ["file": "\(self.log.path)"])
        }
    }
}
