import Foundation
import Logging
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCWire
import Testing

/// A daemon on a thread of the test, with a directory of its own.
final class TestDaemon {
    let directory: String
    let socketPath: String
    private let daemon: HypervisorDaemon
    private let ended = DispatchSemaphore(value: 0)
    private var isRunning = true

    init(
        poolByteCount: Int = 4 << 20, logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ change: (inout HypervisorConfiguration) -> Void = { _ in }
    ) throws {
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        self.directory = String(cString: mkdtemp(&template))
        self.socketPath = self.directory + "/h.sock"
        var configuration = HypervisorConfiguration(socketPath: self.socketPath, poolByteCount: poolByteCount)
        change(&configuration)
        let daemon = try HypervisorDaemon(configuration: configuration, logger: logger)
        self.daemon = daemon
        let ended = self.ended
        Thread.detachNewThread {
            do { try daemon.run() } catch { Issue.record("the daemon failed: \(error)") }
            ended.signal()
        }
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if (try? HypervisorSession.connect(socketPath: self.socketPath)) != nil { return }
            usleep(2000)
        }
        throw ControlError.timedOut
    }

    func connect(timeout: Duration = .seconds(2)) throws -> HypervisorSession {
        try HypervisorSession.connect(socketPath: self.socketPath, timeout: timeout)
    }

    func status() throws -> HypervisorStatus {
        try self.connect().status()
    }

    /// Polls the books until they are so.
    func waitForStatus(_ condition: (HypervisorStatus) -> Bool) throws -> Bool {
        let session = try self.connect()
        for _ in 0..<500 {
            if condition(try session.status()) { return true }
            usleep(10_000)
        }
        return false
    }

    func stop() {
        guard self.isRunning else { return }
        self.isRunning = false
        self.daemon.stop()
        #expect(self.ended.wait(timeout: .now() + 5) == .success, "the daemon did not end")
    }

    /// Waits until it ends by itself.
    func waitForEnd(seconds: Double) -> Bool {
        guard self.ended.wait(timeout: .now() + seconds) == .success else { return false }
        self.isRunning = false
        return true
    }

    deinit {
        self.stop()
        try? FileManager.default.removeItem(atPath: self.directory)
    }
}

/// A partition of a test.
struct TestPartition {
    let session: HypervisorSession
    let membership: Membership

    init(_ daemon: TestDaemon, _ name: String, _ vlans: [VLANID] = []) throws {
        self.session = try daemon.connect()
        self.membership = try self.session.join(name: name, vlans: vlans)
    }

    var address: SMGID { self.membership.addresses[0].smgid }
}

/// The refusal that `body` ends with.
func refusal(_ body: () throws -> Void) -> HypervisorRefusal? {
    do {
        try body()
        return nil
    } catch ControlError.refused(let refusal, let text) {
        #expect(!text.isEmpty)
        return refusal
    } catch {
        Issue.record("another error: \(error)")
        return nil
    }
}

/// `#require` for values that cannot be copied.
func present<Value: ~Copyable>(_ value: consuming Value?) throws -> Value {
    guard let value else { throw ControlError.protocolViolation("nothing is there") }
    return value
}

extension Mapping {
    /// The mapping must outlive the access: its address alone does not keep it.
    func put(_ byte: UInt8, at offset: Int = 0) {
        withExtendedLifetime(self) { self.baseAddress.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self) }
    }

    func byte(at offset: Int = 0) -> UInt8 {
        withExtendedLifetime(self) { self.baseAddress.load(fromByteOffset: offset, as: UInt8.self) }
    }
}
