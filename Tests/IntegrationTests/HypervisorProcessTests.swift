import Foundation
import SMCControl
import SMCSystem
import SMCWire
import Testing

/// The built `smc` as users run it.
@Suite struct HypervisorProcessTests {
    private static let executable = Bundle.main.executableURL!.resolvingSymlinksInPath()
    private static var smc: String {
        // The test bundle and the program are built into one directory.
        let candidates = CommandLine.arguments + [executable.path]
        for candidate in candidates {
            let path = URL(fileURLWithPath: candidate).deletingLastPathComponent().appendingPathComponent("smc").path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return ".build/debug/smc"
    }

    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(directory)
    }

    private func start(_ path: String, _ more: [String] = []) throws -> Foundation.Process {
        let process = Foundation.Process()
        process.executableURL = URL(fileURLWithPath: Self.smc)
        process.arguments = ["hypervisor", "--socket", path, "--pool", "4M", "--quiet"] + more
        try process.run()
        return process
    }

    private func connect(_ path: String) throws -> HypervisorSession {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                return try HypervisorSession.connect(socketPath: path)
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                usleep(5000)
            }
        }
    }

    @Test func aKilledHypervisorIsReplacedOnTheSamePath() throws {
        try self.withDirectory { directory in
            let path = directory + "/h.sock"
            let first = try self.start(path)
            let session = try self.connect(path)
            let membership = try session.join(name: "survivor")
            let created = try session.createSMB(ringByteCount: 1, on: membership.addresses[0].smgid)
            let mapping = try Mapping(created.file)
            withExtendedLifetime(mapping) { mapping.baseAddress.storeBytes(of: 1, as: UInt8.self) }
            kill(first.processIdentifier, SIGKILL)
            first.waitUntilExit()
            #expect(FileManager.default.fileExists(atPath: path), "its socket is still there")
            // What was shared stays; what is asked fails at once.
            let byte = withExtendedLifetime(mapping) { mapping.baseAddress.load(as: UInt8.self) }
            #expect(byte == 1)
            #expect(throws: ControlError.self) { _ = try session.status() }
            let second = try self.start(path)
            let again = try self.connect(path)
            _ = try again.join(name: "survivor")
            #expect(try again.status().partitions.map(\.name) == ["survivor"])
            second.terminate()
            second.waitUntilExit()
            #expect(second.terminationStatus == 0)
            #expect(!FileManager.default.fileExists(atPath: path), "it removes its socket when it is asked to end")
        }
    }

    /// A process whose standard input is a partition's session, and whose output is an SMB of it.
    private func victim(_ path: String) throws -> Foundation.Process {
        let session = try self.connect(path)
        let address = try session.join(name: "victim").addresses[0].smgid
        _ = try session.createSMB(ringByteCount: 1, on: address)
        let created = try session.createSMB(ringByteCount: 1, on: address)
        let process = Foundation.Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sleep")
        process.arguments = ["60"]
        process.standardInput = FileHandle(fileDescriptor: session.descriptor, closeOnDealloc: false)
        process.standardOutput = FileHandle(
            fileDescriptor: created.file.descriptor.rawValue, closeOnDealloc: false)
        try process.run()
        return process
    }

    @Test func aKilledPartitionLeavesNothing() throws {
        try self.withDirectory { directory in
            let path = directory + "/h.sock"
            let hypervisor = try self.start(path)
            defer {
                hypervisor.terminate()
                hypervisor.waitUntilExit()
            }
            let watcher = try self.connect(path)
            let before = try watcher.status()
            // Another process gets the session and the memory, and then is all that has them.
            let victim = try self.victim(path)
            usleep(300_000)
            let during = try watcher.status()
            #expect(during.partitions.map(\.name) == ["victim"] && during.smbs.count == 2)
            kill(victim.processIdentifier, SIGKILL)
            victim.waitUntilExit()
            for _ in 0..<300 {
                if try watcher.status() == before { break }
                usleep(10_000)
            }
            #expect(try watcher.status() == before)
        }
    }

    @Test func programsStartOneHypervisorBetweenThem() throws {
        try self.withDirectory { directory in
            var automatic = HypervisorLocator.Automatic()
            automatic.systemSocketPath = directory + "/none.sock"
            automatic.runtimeDirectories = [directory + "/run"]
            automatic.executablePath = Self.smc
            automatic.idleTimeoutSeconds = 1
            let locator = HypervisorLocator.automatic(automatic)
            let found = Found()
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                do throws(ControlError) {
                    found.append(try locator.connect())
                } catch {
                    Issue.record("\(error)")
                }
            }
            let processes = Set(found.sessions.map(\.hypervisor.processID))
            #expect(found.sessions.count == 4 && processes.count == 1)
            let hypervisor = try #require(processes.first)
            #expect(waitpid(hypervisor, nil, WNOHANG) == -1, "it is no child of ours")
            #expect(getsid(hypervisor) != getsid(0))
            let links = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(hypervisor)/fd")
            let ours = links.compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(hypervisor)/fd/\($0)")
            }
            #expect(ours.filter { $0 == "/dev/null" }.count >= 3)
            found.removeAll()
            for _ in 0..<600 where kill(hypervisor, 0) == 0 { usleep(10_000) }
            #expect(kill(hypervisor, 0) == -1, "it ends when it is idle")
        }
    }

    @Test func statusSaysThatThereIsNone() throws {
        try self.withDirectory { directory in
            let process = Foundation.Process()
            process.executableURL = URL(fileURLWithPath: Self.smc)
            process.arguments = ["status", "--socket", directory + "/none.sock"]
            process.standardError = Pipe()
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 6)
        }
    }

    @Test func statusSpeaksJSON() throws {
        try self.withDirectory { directory in
            let path = directory + "/h.sock"
            let hypervisor = try self.start(path, ["--vlan", "web", "--vlan", "db"])
            defer {
                hypervisor.terminate()
                hypervisor.waitUntilExit()
            }
            let session = try self.connect(path)
            _ = try session.join(name: "one", vlans: [VLANID("db")!])
            let process = Foundation.Process()
            process.executableURL = URL(fileURLWithPath: Self.smc)
            process.arguments = ["status", "--socket", path, "--json"]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            let partitions = try #require(object["partitions"] as? [[String: Any]])
            #expect(partitions.map { $0["name"] as? String } == ["one"])
            #expect((object["vlans"] as? [Any])?.count == 2)
        }
    }
}

/// Sessions from several threads.
private final class Found: @unchecked Sendable {
    // Sendable: the lock guards the list.
    private let lock = NSLock()
    private var list: [HypervisorSession] = []

    var sessions: [HypervisorSession] {
        self.lock.withLock { self.list }
    }

    func append(_ session: HypervisorSession) {
        self.lock.withLock { self.list.append(session) }
    }

    func removeAll() {
        self.lock.withLock { self.list.removeAll() }
    }
}
