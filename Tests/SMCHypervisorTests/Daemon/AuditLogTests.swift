import Foundation
import Logging
import Synchronization
import Testing

@testable import SMCHypervisor

struct AuditLogTests {
    /// Counts what the log says about itself.
    private final class Said: LogHandler, Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { self.lines.withLock { $0 } }
        var metadata: Logger.Metadata {
            get { [:] }
            set {}
        }
        var logLevel: Logger.Level {
            get { .trace }
            set {}
        }
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }

        func log(event: LogEvent) {
            self.lines.withLock { $0.append("\(event.level): \(event.message)") }
        }
    }

    private func withDirectory(_ body: (String, Logger, Said) throws -> Void) throws {
        var template = Array("/tmp/smc-test-XXXXXX".utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let said = Said()
        try body(directory, Logger(label: "audit") { _ in said }, said)
    }

    private func line(_ number: Int) -> JSONLine {
        var line = JSONLine()
        line.add("number", number)
        return line
    }

    private func numbers(_ path: String) throws -> [Int] {
        let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Int]
            return try #require(object?["number"])
        }
    }

    private func until(_ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if try condition() { return true }
            usleep(2000)
        }
        return false
    }

    @Test func allLinesAreThereInTheirOrder() throws {
        try self.withDirectory { directory, logger, _ in
            let path = directory + "/audit"
            let log = try AuditLog(path: path, logger: logger)
            for number in 0..<1000 { log.record(self.line(number)) }
            log.close()
            #expect(try self.numbers(path) == Array(0..<1000))
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o027 == 0, "others may not read it")
            // The next one adds to it.
            let next = try AuditLog(path: path, logger: logger)
            next.record(self.line(1000))
            next.close()
            #expect(try self.numbers(path) == Array(0...1000))
        }
    }

    @Test func aRotationLosesNothing() throws {
        try self.withDirectory { directory, logger, _ in
            let path = directory + "/audit"
            let log = try AuditLog(path: path, logger: logger)
            for part in 0..<10 {
                for number in 0..<100 { log.record(self.line(part * 100 + number)) }
                // At any moment, and sometimes two of them between two lines.
                #expect(self.until { FileManager.default.fileExists(atPath: path) })
                try FileManager.default.moveItem(atPath: path, toPath: "\(path).\(part)")
                if part % 3 == 0 { log.reopen() }
            }
            log.record(self.line(1000))
            log.close()
            let files = (0..<10).map { "\(path).\($0)" } + [path]
            #expect(try files.flatMap { try self.numbers($0) } == Array(0...1000))
            #expect(try self.numbers(path).last == 1000, "the last file is the one at the path")
        }
    }

    @Test func aDiskThatIsFullIsSaidOnceAndDoesNotHoldUpAnybody() throws {
        try self.withDirectory { directory, logger, said in
            let log = try AuditLog(path: "/dev/full", logger: logger)
            // More than may wait: this would not end if each line were tried.
            for number in 0..<300_000 { log.record(self.line(number)) }
            #expect(self.until { !said.all.isEmpty })
            log.close()
            #expect(said.all.count { $0.contains("cannot be written") && $0.contains("No space left") } == 1)
            #expect(said.all.contains { $0.contains("lines of the audit log were not written") })
        }
    }

    @Test func whatWaitedIsWrittenWhenItCanBe() throws {
        try self.withDirectory { directory, logger, said in
            let path = directory + "/logs/audit"
            try FileManager.default.createDirectory(atPath: directory + "/logs", withIntermediateDirectories: false)
            let log = try AuditLog(path: path, logger: logger)
            // The folder goes, and a file stands in its place: nothing can be opened there.
            try FileManager.default.removeItem(atPath: directory + "/logs")
            #expect(FileManager.default.createFile(atPath: directory + "/logs", contents: nil))
            for number in 0..<10 { log.record(self.line(number)) }
            #expect(self.until { said.all.contains { $0.contains("cannot be written") } })
            try FileManager.default.removeItem(atPath: directory + "/logs")
            try FileManager.default.createDirectory(atPath: directory + "/logs", withIntermediateDirectories: false)
            #expect(try self.until { try self.numbers(path).count == 10 })
            log.close()
            #expect(try self.numbers(path) == Array(0..<10))
            #expect(said.all.contains { $0.contains("written again") })
        }
    }

    @Test(arguments: ["/", "/nowhere/audit", "pipe", "link"]) func aPathThatCannotBeUsed(_ name: String) throws {
        try self.withDirectory { directory, logger, _ in
            let path = name.hasPrefix("/") ? name : directory + "/" + name
            if name == "pipe" { #expect(mkfifo(path, 0o600) == 0) }
            if name == "link" { #expect(symlink("/dev/null", path) == 0) }
            #expect(throws: (any Error).self) { _ = try AuditLog(path: path, logger: logger) }
        }
    }
}
