import CBaseline
import Foundation
import SMC
import Synchronization

/// Runs swift-smc, by its public API alone.
struct OurPeer {
    let command: PeerCommand

    private var size: Int { self.command.size }
    private var count: Int { self.command.count }
    private var connectionCount: Int { self.command.pattern == .thousand ? 1000 : 1 }

    func run() async throws {
        var configuration = Configuration()
        configuration.hypervisor = .socket(self.command.place)
        configuration.name = "benchmark"
        configuration.paths = [.sharedMemory, .tcp]
        switch self.command.pattern {
        case .thousand, .oneOfThousand:
            configuration.sharedMemoryRingByteCount = 16_384
            configuration.waiting = .busyPoll
        case .wake, .asyncPingPong:
            configuration.waiting = .adaptive
        case .pingPong, .messagePingPong, .stream, .messages, .copying, .borrowing:
            configuration.sharedMemoryRingByteCount = 1_048_576
            configuration.waiting = .busyPoll
        }
        let partition = try await Partition.join(configuration)
        let connections =
            self.command.serves ? try await self.accept(partition) : try await self.connect(partition)
        for connection in connections where connection.path != .sharedMemory {
            throw BenchmarkError("the connection took \(connection.path): \(connection.decision.reason ?? "?")")
        }
        if self.command.pattern == .asyncPingPong {
            try await self.command.serves ? self.serveAsync(connections[0]) : self.pingAsync(connections[0])
        } else {
            try await onThread { try self.measure(connections) }
        }
        for connection in connections { await connection.close() }
        await partition.leave()
    }

    private func accept(_ partition: Partition) async throws -> [Connection] {
        let listener = try await partition.listen(on: "127.0.0.1", port: 0)
        self.command.sayReady(port: listener.port)
        var connections: [Connection] = []
        for await connection in listener {
            connections.append(connection)
            if connections.count == self.connectionCount { break }
        }
        return connections
    }

    private func connect(_ partition: Partition) async throws -> [Connection] {
        var connections: [Connection] = []
        for _ in 0..<self.connectionCount {
            connections.append(try await partition.connect(to: "127.0.0.1", port: self.command.port))
        }
        return connections
    }

    private func measure(_ connections: [Connection]) throws {
        switch (self.command.pattern, self.command.serves) {
        case (.pingPong, false): self.command.sayResult(nanoseconds: try self.ping(connections[0]))
        case (.pingPong, true): try self.servePing(connections[0])
        case (.thousand, false), (.oneOfThousand, false):
            self.command.sayResult(nanoseconds: try self.ping(connections))
        case (.thousand, true), (.oneOfThousand, true): try self.servePing(connections)
        case (.stream, false): self.command.sayResult(nanoseconds: try self.stream(connections[0]))
        case (.stream, true): try self.serveStream(connections[0])
        case (.messagePingPong, false): self.command.sayResult(nanoseconds: try self.pingMessages(connections[0]))
        case (.messagePingPong, true): try self.serveMessages(connections[0])
        case (.messages, false): self.command.sayResult(nanoseconds: try self.sendMessages(connections[0]))
        case (.messages, true): try self.receiveMessages(connections[0])
        case (.copying, false): self.command.sayResult(nanoseconds: try self.copyOut(connections[0]))
        case (.copying, true): try self.copyIn(connections[0])
        case (.borrowing, false): self.command.sayResult(nanoseconds: try self.lendOut(connections[0]))
        case (.borrowing, true): try self.borrowIn(connections[0])
        case (.asyncPingPong, _): throw BenchmarkError("asynchronous calls do not block a thread")
        case (.wake, false): try self.wake(connections[0])
        case (.wake, true): self.command.sayResult(median: try self.serveWake(connections[0]))
        }
    }

    private func ping(_ connection: Connection) throws -> Int64 {
        let message = [UInt8](repeating: 1, count: self.size)
        var answer = message
        let begin = baseline_now()
        for _ in 0..<self.count {
            try connection.sendBlocking(message.span.bytes)
            try connection.receiveAll(into: &answer)
        }
        return baseline_now() - begin
    }

    private func servePing(_ connection: Connection) throws {
        var message = [UInt8](repeating: 0, count: self.size)
        for _ in 0..<self.count {
            try connection.receiveAll(into: &message)
            try connection.sendBlocking(message.span.bytes)
        }
    }

    private func ping(_ connections: [Connection]) throws -> Int64 {
        let message = [UInt8](repeating: 1, count: self.size)
        var answer = message
        let begin = baseline_now()
        for step in 0..<self.count {
            let connection = connections[step % connections.count]
            try connection.sendBlocking(message.span.bytes)
            try connection.receiveAll(into: &answer)
        }
        return baseline_now() - begin
    }

    private func servePing(_ connections: [Connection]) throws {
        var message = [UInt8](repeating: 0, count: self.size)
        for step in 0..<self.count {
            let connection = connections[step % connections.count]
            try connection.receiveAll(into: &message)
            try connection.sendBlocking(message.span.bytes)
        }
    }

    private func stream(_ connection: Connection) throws -> Int64 {
        let message = [UInt8](repeating: 1, count: self.size)
        var answer: [UInt8] = [0]
        let begin = baseline_now()
        for _ in 0..<self.count { try connection.sendBlocking(message.span.bytes) }
        try connection.receiveAll(into: &answer)
        return baseline_now() - begin
    }

    private func serveStream(_ connection: Connection) throws {
        var message = [UInt8](repeating: 0, count: self.size)
        for _ in 0..<self.count { try connection.receiveAll(into: &message) }
        try connection.sendBlocking([UInt8(1)].span.bytes)
    }

    /// The message is the time at which it was sent.
    private func wake(_ connection: Connection) throws {
        var answer: [UInt8] = [0]
        for _ in 0..<self.count {
            usleep(UInt32(BaselinePeer.wakePause / 1000))
            let now = [baseline_now()]
            try connection.sendBlocking(now.span.bytes)
            usleep(UInt32(BaselinePeer.wakePause / 1000))
            try connection.receiveAll(into: &answer)
        }
    }

    private func serveWake(_ connection: Connection) throws -> [Int64] {
        var delays: [Int64] = []
        delays.reserveCapacity(self.count)
        var message = [UInt8](repeating: 0, count: 8)
        for _ in 0..<self.count {
            try connection.receiveAll(into: &message)
            let now = baseline_now()
            delays.append(now - message.span.bytes.unsafeLoad(fromByteOffset: 0, as: Int64.self))
            try connection.sendBlocking([UInt8(1)].span.bytes)
        }
        return delays
    }
}

extension Connection {
    /// Receives exactly as many bytes as fit.
    @inline(__always)
    func receiveAll(into bytes: inout [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = try bytes.withUnsafeMutableBytes { buffer in
                // The array is ours alone for this call.
                var rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).mutableBytes
                return try self.receiveBlocking(into: &rest)
            }
            guard let count else { throw BenchmarkError("the peer ended the stream early") }
            done += count
        }
    }
}

/// Runs blocking code where no task waits for the thread.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: .init(catching: body)) }
        thread.stackSize = 1 << 20
        thread.start()
    }
}

/// Runs a task while this thread waits for it. With an asynchronous `main` the first thread would end, which valgrind
/// does not survive.
func waitForTask(_ body: @escaping @Sendable () async throws -> Void) throws {
    let done = DispatchSemaphore(value: 0)
    let failure = Mutex<(any Error)?>(nil)
    Task {
        do {
            try await body()
        } catch {
            failure.withLock { $0 = error }
        }
        done.signal()
    }
    done.wait()
    if let error = failure.withLock({ $0 }) { throw error }
}
