import Foundation
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCTesting
import SMCWire
import Testing

/// Who connects, how long, and what bad manners cost.
@Suite struct DaemonSessionTests {
    /// Reads what comes until the end, or nil when nothing comes in time.
    private func answer(_ socket: borrowing UnixSocket, seconds: Int = 2) throws -> [UInt8]? {
        guard try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(seconds)) else { return nil }
        guard let received = try socket.receive(maximumByteCount: 65536) else { return nil }
        #expect(received.descriptors.isEmpty)
        return received.bytes
    }

    @Test func garbageEndsOneSessionOnly() throws {
        let daemon = try TestDaemon()
        let good = try TestPartition(daemon, "good")
        var random = SeededGenerator(seed: 1)
        for length in [1, 15, 16, 17, 100, 60_000] {
            let socket = try UnixSocket.connect(path: daemon.socketPath)
            try socket.send((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            let bytes = try #require(try self.answer(socket))
            let response = try ControlResponse(decoding: bytes, header: try ControlHeader(decoding: bytes))
            guard case .refused(.malformed, _) = response else { throw ControlError.protocolViolation("\(response)") }
            #expect(try self.answer(socket) == [], "and then it is over")
        }
        #expect(try daemon.waitForStatus { $0.partitions.map(\.name) == ["good"] })
        _ = try good.session.createSMB(ringByteCount: 1, on: good.address)
    }

    @Test func mutatedRequestsNeverHarm() throws {
        let daemon = try TestDaemon(poolByteCount: 1 << 20)
        let before = try daemon.status().pools
        var random = SeededGenerator(seed: 2)
        let address = SMGID(gid: 1, extendedGID: 2)
        let requests: [ControlRequest] = [
            .hello, .join(name: "a", vlans: []), .createSMB(ringByteCount: 1, on: address), .status(firstItem: 0),
            .bind(OwnerToken(high: 1, low: 1), to: address), .accept(OfferToken(rawValue: 1), from: address),
        ]
        for turn in 0..<300 {
            let socket = try UnixSocket.connect(path: daemon.socketPath)
            if turn % 50 == 0 { _ = try daemon.status() }  // The queue of connections has an end.
            for request in requests {
                var packet = request.encoded(requestID: 1)
                if Bool.random(using: &random) {
                    packet[Int.random(in: 0..<packet.count, using: &random)] ^= UInt8.random(
                        in: 1...255, using: &random)
                }
                do { try socket.send(packet) } catch { break }
            }
        }
        #expect(try daemon.waitForStatus { $0.partitions.isEmpty && $0.pools == before })
    }

    @Test func descriptorsAreNotTaken() throws {
        let daemon = try TestDaemon()
        let socket = try UnixSocket.connect(path: daemon.socketPath)
        try socket.send(ControlRequest.hello.encoded(requestID: 9), descriptors: [0])
        let bytes = try #require(try self.answer(socket))
        #expect(try ControlHeader(decoding: bytes).requestID == 9)
        #expect(try self.answer(socket) == [])
    }

    @Test func whoeverIsSilentIsDropped() throws {
        let daemon = try TestDaemon { $0.handshakeTimeout = .milliseconds(200) }
        let silent = try UnixSocket.connect(path: daemon.socketPath)
        let greeted = try daemon.connect()
        #expect(try self.answer(silent) == [])
        usleep(300_000)
        _ = try greeted.status()
    }

    @Test func sessionsAreBounded() throws {
        let daemon = try TestDaemon { $0.sessionsMaximum = 4 }
        var held: [HypervisorSession] = []
        var refused = false
        for _ in 0..<6 {
            do {
                held.append(try daemon.connect())
            } catch ControlError.refused(.tooManySessions, let text) {
                #expect(text.contains("4 sessions"))
                refused = true
            }
        }
        #expect(refused && (3...4).contains(held.count))
        held.removeAll()
        // Their end is noticed some time later.
        var next: HypervisorSession?
        for _ in 0..<500 where next == nil {
            next = try? daemon.connect()
            if next == nil { usleep(10_000) }
        }
        #expect(next != nil)
    }

    @Test func anIdleDaemonEndsButNotOneInUse() throws {
        let daemon = try TestDaemon { $0.idleTimeout = .milliseconds(400) }
        var one: TestPartition? = try TestPartition(daemon, "one")
        #expect(!daemon.waitForEnd(seconds: 1))
        _ = try one!.session.status()
        one = nil
        #expect(daemon.waitForEnd(seconds: 5))
        #expect(!FileManager.default.fileExists(atPath: daemon.socketPath))
    }

    @Test func aSecondDaemonOnTheSameSocketIsRefused() throws {
        let daemon = try TestDaemon()
        let configuration = HypervisorConfiguration(socketPath: daemon.socketPath, poolByteCount: 1 << 20)
        let second = try HypervisorDaemon(configuration: configuration, logger: .init(label: "x"))
        do throws(HypervisorStartError) {
            try second.run()
            Issue.record("it ran")
        } catch {
            guard case .alreadyRunning = error else { throw error }
        }
        _ = try daemon.status()
    }

    @Test(arguments: [0o777, 0o750, 0o705]) func openDirectoriesAreRefused(mode: Int) throws {
        let directory = NSTemporaryDirectory() + "smc-test-open-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        chmod(directory, mode_t(mode))
        let configuration = HypervisorConfiguration(socketPath: directory + "/h.sock", poolByteCount: 1 << 20)
        let daemon = try HypervisorDaemon(configuration: configuration, logger: .init(label: "x"))
        do throws(HypervisorStartError) {
            try daemon.run()
            Issue.record("it ran")
        } catch {
            guard case .unsuitable = error else { throw error }
        }
    }

    @Test func afterTheEndEveryCallSaysSo() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        daemon.stop()
        #expect(try Readiness.wait(one.session.descriptor, timeout: .seconds(1)))
        for _ in 0..<2 {
            do {
                _ = try one.session.status()
                Issue.record("it answered")
            } catch ControlError.unavailable {}
        }
        do {
            _ = try daemon.connect()
            Issue.record("it answered")
        } catch ControlError.unavailable {}
    }

    @Test func aSilentHypervisorTimesOutAndLateAnswersAreTakenBack() throws {
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/fake.sock"
        let listener = try UnixSocket.listen(path: path)
        let server = FakeServer(listener)
        server.start()
        let session = try HypervisorSession.connect(socketPath: path, timeout: .milliseconds(300))
        #expect(throws: ControlError.self) {
            _ = try session.createSMB(ringByteCount: 1, on: SMGID(gid: 1, extendedGID: 1))
        }
        // The late answer comes with the next call, which first gives back what it brought.
        try session.reportClosed(1)
        #expect(
            server.received == [
                .hello, .createSMB(ringByteCount: 1, on: SMGID(gid: 1, extendedGID: 1)),
                .destroy(OwnerToken(high: 1, low: 2)), .reportClosed(1),
            ])
    }

    /// One thread's call takes all its time; the others' do not take theirs on top of it.
    @Test func callersBehindAStalledCallEndInTime() throws {
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/fake.sock"
        let listener = try UnixSocket.listen(path: path)
        let server = FakeServer(listener)
        server.answersOnlyHello = true
        server.start()
        let session = try HypervisorSession.connect(socketPath: path, timeout: .seconds(1))
        let start = ContinuousClock.now
        let group = DispatchGroup()
        for _ in 0..<30 {
            group.enter()
            Thread.detachNewThread {
                defer { group.leave() }
                do throws(ControlError) {
                    try session.reportClosed(1)
                    Issue.record("it was answered")
                } catch {
                    if case .timedOut = error { return }
                    Issue.record("\(error)")
                }
            }
        }
        group.wait()
        // Thirty seconds, if each call had its second only from its turn on.
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(server.received.count <= 3, "those whose time was over were not even sent")
    }

    @Test func reportsAreShownAndGoWithTheirSession() throws {
        let daemon = try TestDaemon()
        var one: TestPartition? = try TestPartition(daemon, "one")
        for number in 0..<100 as Range<UInt64> {
            try one!.session.report(
                ConnectionReport(identifier: number, path: "shared memory", local: "a:1", remote: "b:2"))
        }
        try one!.session.reportClosed(5)
        let status = try daemon.status()
        #expect(status.connections.count == 99, "more than a page")
        #expect(status.connections.map(\.report.identifier) == (0..<100).filter { $0 != 5 })
        #expect(status.partitions.map(\.processID) == [getpid()])
        one = nil
        #expect(try daemon.waitForStatus { $0.connections.isEmpty })
    }
}

/// Answers `hello` at once, an SMB too late, everything else at once.
private final class FakeServer: @unchecked Sendable {
    // Sendable: the lock guards what both threads use.
    private let listener: UnixSocket
    private let lock = NSLock()
    /// Set before it is started.
    var answersOnlyHello = false
    private var requests: [ControlRequest] = []

    init(_ listener: consuming UnixSocket) {
        self.listener = listener
    }

    var received: [ControlRequest] {
        self.lock.withLock { self.requests }
    }

    func start() {
        Thread.detachNewThread { try? self.serve() }
    }

    private func serve() throws {
        _ = try Readiness.wait(self.listener.descriptor.rawValue, timeout: .seconds(5))
        guard let socket = try self.listener.accept() else { return }
        while try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(5)) {
            guard let packet = try socket.receive(maximumByteCount: 65536), !packet.bytes.isEmpty else { return }
            let header = try ControlHeader(decoding: packet.bytes)
            let request = try ControlRequest(decoding: packet.bytes, header: header)
            self.lock.withLock { self.requests.append(request) }
            if self.answersOnlyHello, request != .hello { continue }
            guard case .createSMB = request else {
                try socket.send(ControlResponse.done.encoded(requestID: header.requestID))
                continue
            }
            usleep(450_000)
            let file = try MemoryFile.create(name: "late", byteCount: 20480)
            let record = CreatedRecord(
                owner: OwnerToken(high: 1, low: 2), ringByteCount: 16384, fileByteCount: 20480)
            try socket.send(
                ControlResponse.created(record).encoded(requestID: header.requestID),
                descriptors: [file.descriptor.rawValue])
        }
    }
}
