import Foundation
import SMCSystem
import Testing

struct AccountsTests {
    @Test func namesBecomeNumbers() throws {
        #expect(try Accounts.userID(named: "root") == 0)
        #expect(try Accounts.groupID(named: "root") == 0)
        let name = try #require(getgrgid(65534)).pointee.gr_name.map { String(cString: $0) }
        #expect(try Accounts.groupID(named: #require(name)) == 65534)
        #expect(try Accounts.userID(named: "no such user") == nil)
        #expect(try Accounts.groupID(named: "") == nil)
    }

    @Test func groupsOfThePeer() throws {
        var template = Array("/tmp/smc-test-XXXXXX".utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let listener = try UnixSocket.listen(path: directory + "/s")
        // More groups than the first try has room for, if we may have them.
        let wanted = (0..<100).map { gid_t(70_000 + $0) }
        var mine = [gid_t](repeating: 0, count: 1024)
        let count = getgroups(1024, &mine)
        mine.removeLast(mine.count - Int(count))
        let script =
            "import os, socket, sys\n"
            + (getuid() == 0 ? "os.setgroups([\(wanted.map(String.init).joined(separator: ","))])\n" : "")
            + "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\ns.recv(1)\n"
        let process = Foundation.Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = ["-c", script, directory + "/s"]
        try process.run()
        defer {
            process.terminate()
            process.waitUntilExit()
        }
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            if let socket = try listener.accept() {
                #expect(try Set(socket.peerGroups()) == Set(getuid() == 0 ? wanted : mine))
                return
            }
            usleep(5000)
        }
        Issue.record("nobody connected")
    }

    @Test func theTimeOfDay() {
        #expect(WallClock.text(seconds: 0, microseconds: 7) == "1970-01-01T00:00:00.000007Z")
        #expect(WallClock.text(seconds: 1_795_249_200, microseconds: 123_456) == "2026-11-21T08:20:00.123456Z")
        #expect(WallClock.now() > "2024-01-01")
    }

    @Test func aFileAsAWhole() throws {
        var template = Array("/tmp/smc-test-XXXXXX".utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/file"
        for count in [0, 1, 4096] {
            #expect(FileManager.default.createFile(atPath: path, contents: Data(repeating: 7, count: count)))
            #expect(try FileSystem.contents(path, limit: 4096) == [UInt8](repeating: 7, count: count))
        }
        #expect(FileManager.default.createFile(atPath: path, contents: Data(repeating: 7, count: 4097)))
        #expect(try FileSystem.contents(path, limit: 4096) == nil)
        #expect(throws: SystemCallError.self) { _ = try FileSystem.contents(directory, limit: 10) }
        #expect(throws: SystemCallError.self) { _ = try FileSystem.contents(directory + "/none", limit: 10) }
    }
}
