import Foundation
import SMCWire

/// The helper `keeping-peer` as a process of its own: it is told a line, and says one.
final class PeerProcess {
    struct Trouble: Error, CustomStringConvertible {
        let description: String
    }

    /// It lies beside the test bundle.
    private static let executable: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (bundle as NSString).deletingLastPathComponent + "/keeping-peer"
    }()
    /// One at a time: Foundation's Process is not made for many threads.
    private static let lock = NSLock()

    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var received = Data()

    init() throws {
        self.process.executableURL = URL(fileURLWithPath: Self.executable)
        self.process.standardInput = self.input
        self.process.standardOutput = self.output
        try Self.lock.withLock { try self.process.run() }
    }

    deinit {
        self.kill()
    }

    /// Kills it and waits until it is gone.
    func kill() {
        if self.process.isRunning { Foundation.kill(self.process.processIdentifier, SIGKILL) }
        self.process.waitUntilExit()
    }

    func send(_ line: String) throws {
        try self.input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    func line(seconds: Double = 20) throws -> String {
        let descriptor = self.output.fileHandleForReading.fileDescriptor
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            if let end = self.received.firstIndex(of: 10) {
                defer { self.received = Data(self.received[(end + 1)...]) }
                return String(decoding: self.received[..<end], as: UTF8.self)
            }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = deadline.timeIntervalSinceNow
            guard left > 0, poll(&entry, 1, Int32(left * 1000)) > 0 else {
                throw Trouble(description: "the peer says nothing")
            }
            let more = self.output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw Trouble(description: "the peer ended") }
            self.received += more
        }
    }

    @discardableResult
    func ask(_ line: String) throws -> String {
        try self.send(line)
        return try self.line()
    }

    // MARK: What it can do

    /// Becomes a partition.
    func join(_ daemon: TestDaemon, _ name: String, vlans: [String] = []) throws -> SMGID {
        let words = try self.ask((["join", daemon.socketPath, name] + vlans).joined(separator: " "))
            .split(separator: " ").compactMap { UInt64($0) }
        guard words.count == 2 else { throw Trouble(description: "the peer did not join") }
        return SMGID(gid: words[0], extendedGID: words[1])
    }

    /// Accepts an SMB; keeps a mapping and a duplicate of the descriptor from now on.
    func accept(_ offer: OfferToken, from owner: SMGID) throws {
        let answer = try self.ask("accept \(offer.rawValue) \(owner.gid) \(owner.extendedGID)")
        guard Int(answer) != nil else { throw Trouble(description: "the peer did not accept: \(answer)") }
    }

    /// Which byte values it sees in the ring.
    func see() throws -> Set<UInt8> {
        Set(try self.ask("see").split(separator: " ").compactMap { UInt8($0) })
    }
}
