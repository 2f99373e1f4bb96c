import Foundation
import SMCControl
import SMCSystem
import SMCWire
import Testing

/// A hypervisor in a control group that has less memory than it is asked for says so; nobody is killed.
@Suite struct MemoryLimitTests {
    private static let smc: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (bundle as NSString).deletingLastPathComponent + "/smc"
    }()

    /// A group with 64 MiB, for the time of a test.
    private final class Group {
        let path: String

        /// - Returns: nil where none can be made: no root, or no controller for memory.
        init?() {
            let name = "swift-smc-test-\(getpid())"
            for (root, limit) in [
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"),
            ] where mkdir("\(root)/\(name)", 0o755) == 0 {
                if (try? Data("67108864".utf8).write(to: URL(fileURLWithPath: "\(root)/\(name)/\(limit)"))) != nil {
                    self.path = "\(root)/\(name)"
                    return
                }
                rmdir("\(root)/\(name)")
            }
            return nil
        }

        deinit {
            // Its last process may be on its way out.
            for _ in 0..<500 where rmdir(self.path) != 0 { usleep(10_000) }
        }
    }

    private static func start(_ group: Group, _ socket: String, pool: String, errors: String) throws
        -> Foundation.Process
    {
        let process = Foundation.Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let command = "echo $$ > \(group.path)/cgroup.procs && exec \(Self.smc) hypervisor"
        process.arguments = ["-c", "\(command) --socket \(socket) --pool \(pool) --idle-timeout 60 2> \(errors)"]
        try process.run()
        return process
    }

    @Test func aLimitOfMemoryIsKept() throws {
        guard let group = Group() else {
            print("MemoryLimitTests: no control group with a memory limit can be made here, so only MemoryBudgetTests")
            return
        }
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (socket, errors) = (directory + "/h.sock", directory + "/errors")
        let refused = try Self.start(group, socket, pool: "256M", errors: errors)
        refused.waitUntilExit()
        #expect(refused.terminationReason == .exit && refused.terminationStatus == 1)
        let text = try String(contentsOfFile: errors, encoding: .utf8)
        #expect(text.contains("\(group.path)/memory.") && text.contains("leaves only"), "\(text)")

        let process = try Self.start(group, socket, pool: "1M", errors: errors)
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        var session: HypervisorSession?
        let deadline = ContinuousClock.now + .seconds(20)
        while session == nil, ContinuousClock.now < deadline {
            session = try? HypervisorSession.connect(socketPath: socket)
            if session == nil { usleep(5000) }
        }
        let administrator = try #require(session)
        let before = try administrator.status().pools
        do {
            _ = try administrator.growPool(.default, byteCount: 256 << 20)
            Issue.record("it has more than its group")
        } catch {
            guard case .refused(.outOfResources, let text) = error else { throw error }
            #expect(text.contains("leaves only"), "\(text)")
        }
        #expect(try administrator.status().pools == before, "it lives, and has what it had")
        #expect(try administrator.growPool(.default, byteCount: 4 << 20) > 0)
    }
}
