import Glibc
import Logging
import SMCControl
import SMCHypervisor
import SMCProtocol
import SMCSystem
import SMCTransport
import SMCWire
import Testing

@testable import SMC

/// What carries the bytes of a pair of connections. Every behaviour is written once and runs over each.
enum Medium: String, CaseIterable, CustomTestStringConvertible {
    case sharedMemory
    case tcp

    var testDescription: String { self.rawValue }

    /// More than can be on its way: whoever sends so much without a reader must wait.
    var overflow: Int {
        switch self {
        case .sharedMemory: 1 << 20
        case .tcp: 32 << 20
        }
    }
}

/// Two partitions of one CEC, with a hypervisor of their own, and a listener between them.
final class Site: Sendable {
    static let ringByteCount = 65_536

    let client: PartitionRuntime
    let server: PartitionRuntime
    private let listener: TCPSocket
    private let medium: Medium
    private let hypervisor: TestHypervisor?

    init(_ medium: Medium, hypervisor: TestHypervisor? = nil, change: (inout PartitionConfiguration) -> Void = { _ in })
        throws
    {
        self.medium = medium
        self.hypervisor = try medium == .sharedMemory ? hypervisor ?? TestHypervisor() : nil
        var configuration = PartitionConfiguration()
        configuration.paths = medium == .sharedMemory ? [.sharedMemory, .tcp] : [.tcp]
        configuration.hypervisor = self.hypervisor.map { .socket($0.path) } ?? .none
        configuration.sharedMemoryRingByteCount = Self.ringByteCount
        configuration.flushTimeout = .seconds(5)
        // Without SMC the client is silent: the listener waits in vain.
        if medium == .tcp { configuration.firstBytesTimeout = .milliseconds(20) }
        change(&configuration)
        configuration.name = "client"
        self.client = try PartitionRuntime(configuration: configuration)
        configuration.name = "server"
        self.server = try PartitionRuntime(configuration: configuration)
        let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: 0).first)
        self.listener = try TCPSocket.listen(on: any, backlog: 64)
    }

    var address: SocketAddress { get throws { try self.listener.localAddress() } }

    func connect() async throws -> Pair {
        async let connected = self.client.connect(to: try self.address)
        let socket = try await self.accept()
        let server = try await self.server.serve(socket)
        let client = try await connected
        let expected: DecisionRecord.PathKind = self.medium == .sharedMemory ? .sharedMemory : .tcp
        #expect(client.path == expected, "\(client.record.reason ?? "")")
        #expect(server.path == expected, "\(server.record.reason ?? "")")
        return Pair(client: End(client), server: End(server), serverSocket: socket)
    }

    func accept() async throws -> TCPSocket {
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while ContinuousClock.now < limit {
            if let socket = try self.listener.accept() { return socket }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw SystemCallError(call: "accept", errno: Errno.timedOut)
    }

    func books() throws -> HypervisorStatus { try #require(self.hypervisor).books() }

    func close() async {
        await self.client.close()
        await self.server.close()
        self.hypervisor?.stop()
    }

    /// Makes a site and a pair for `body`, and ends them.
    static func withPair(
        _ medium: Medium, change: (inout PartitionConfiguration) -> Void = { _ in },
        _ body: (Pair, Site) async throws -> Void
    ) async throws {
        let site = try Site(medium, change: change)
        do {
            try await body(try await site.connect(), site)
        } catch {
            await site.close()
            throw error
        }
        await site.close()
    }
}

/// Both ends of one connection.
struct Pair: Sendable {
    let client: End
    let server: End
    /// The TCP socket below the server's end.
    let serverSocket: TCPSocket
}

/// One end, as programs see it and as it is made.
struct End: Sendable {
    let stream: StreamConnection
    let connection: Connection

    init(_ stream: StreamConnection) {
        self.stream = stream
        self.connection = Connection(stream)
    }

    var element: ElementTransport? {
        if case .element(let transport) = self.stream.carrier { return transport }
        return nil
    }

    /// Sends without waiting until there is no room, and tells how much that was.
    func fill() async throws -> Int {
        let bytes = [UInt8](repeating: 1, count: 65_536)
        var total = 0
        var isFull = false
        while !isFull {
            let count = try bytes.withUnsafeBytes { try self.stream.trySend($0) }
            total += count
            guard count == 0 else { continue }
            // The kernel may still be moving bytes to the other end's buffer.
            try await Task.sleep(for: .milliseconds(20))
            let more = try bytes.withUnsafeBytes { try self.stream.trySend($0) }
            total += more
            isFull = more == 0
        }
        return total
    }

    func receive(exactly count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try await self.connection.receive(
                atMost: min(count - bytes.count, 1 << 20), until: .now.advanced(by: .seconds(20)))
            guard let more else { throw Ended(after: bytes.count) }
            bytes += more
        }
        return bytes
    }

    /// Receives until the end or a failure.
    func drain() async -> (count: Int, failure: SMCError.Code?) {
        var count = 0
        while true {
            do throws(SMCError) {
                let limit = ContinuousClock.now.advanced(by: .seconds(10))
                guard let more = try await self.connection.receive(atMost: 1 << 16, until: limit) else {
                    return (count, nil)
                }
                count += more.count
            } catch {
                return (count, error.code)
            }
        }
    }
}

struct Ended: Error {
    let after: Int
}

/// A hypervisor as a thread of the test.
final class TestHypervisor: Sendable {
    let path: String
    private let directory: String
    private let daemon: HypervisorDaemon
    private let ended = Semaphore()

    init(poolByteCount: Int = 16 << 20) throws {
        self.directory = "/tmp/swift-smc-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        self.path = self.directory + "/hypervisor.sock"
        let configuration = HypervisorConfiguration(socketPath: self.path, poolByteCount: poolByteCount)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        self.daemon = try HypervisorDaemon(configuration: configuration, logger: logger)
        let (daemon, ended) = (self.daemon, self.ended)
        SystemThread.start(name: "test-hypervisor") {
            do {
                try daemon.run()
            } catch {
                Issue.record("the hypervisor failed: \(error)")
            }
            ended.post()
        }
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while true {
            do throws(ControlError) {
                _ = try HypervisorSession.connect(socketPath: self.path)
                return
            } catch {
                guard ContinuousClock.now < limit else { throw error }
                usleep(1000)
            }
        }
    }

    func books() throws -> HypervisorStatus { try HypervisorSession.connect(socketPath: self.path).status() }

    func stop() {
        self.daemon.stop()
        self.ended.wait()
        unlink(self.path + ".lock")
        rmdir(self.directory)
    }
}

/// Waits for something that others bring about.
func eventually(
    within limit: Duration = .seconds(10), _ isTrue: () throws -> Bool
) async throws -> Bool {
    let deadline = ContinuousClock.now.advanced(by: limit)
    while ContinuousClock.now < deadline {
        if try isTrue() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return try isTrue()
}

/// The code with which something failed; nil when it did not.
func failure<Result>(_ body: () async throws(SMCError) -> Result) async -> SMCError.Code? {
    do throws(SMCError) {
        _ = try await body()
        return nil
    } catch {
        return error.code
    }
}
