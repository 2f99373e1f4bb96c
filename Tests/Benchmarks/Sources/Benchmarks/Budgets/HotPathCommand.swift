import ArgumentParser
import CBaseline
import Foundation
import SMC

/// Sends messages through a real pair of connections within one process: run by callgrind and strace, which count.
struct HotPathCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hot-path", abstract: "What the budgets are measured with; started by `budgets`.",
        shouldDisplay: false)

    @Option(help: "The hypervisor's socket.") var hypervisor: String
    @Option var messages: Int

    func run() throws {
        baseline_end_with_parent()
        try waitForTask { try await self.runAll() }
    }

    private func runAll() async throws {
        var configuration = Configuration()
        configuration.hypervisor = .socket(self.hypervisor)
        configuration.paths = [.sharedMemory, .tcp]
        let partitions = [try await Partition.join(configuration), try await Partition.join(configuration)]
        let listener = try await partitions[0].listen(on: "127.0.0.1", port: 0)
        async let accepted = listener.first { _ in true }
        let sender = try await partitions[1].connect(to: "127.0.0.1", port: listener.port)
        guard let receiver = await accepted, sender.path == .sharedMemory, receiver.path == .sharedMemory else {
            throw BenchmarkError("no shared memory: \(sender.decision.reason ?? "?")")
        }
        try self.control()
        for size in [8, 64, 4096] {
            try await onThread { try self.blocking(size, sender, receiver) }
        }
        try await onThread {
            try self.messages(8, sender, receiver)
            try self.borrowing(64, sender, receiver)
        }
        try await self.suspending(8, sender, receiver)
        await sender.close()
        await receiver.close()
        for partition in partitions { await partition.leave() }
    }

    /// Runs `body` often: a little to warm up, then counted.
    private func count(_ name: String, _ body: () throws -> Void) throws {
        for _ in 0..<100 { try body() }
        baseline_begin(name)
        for _ in 0..<self.messages { try body() }
        baseline_end(name)
    }

    static let control = "control: one of each"

    /// Something of each kind that is counted, as proof that the counters count.
    private func control() throws {
        let box = Box()
        try self.count(Self.control) {
            box.fill()
            _ = getppid()
        }
    }

    private func blocking(_ size: Int, _ sender: Connection, _ receiver: Connection) throws {
        let message = [UInt8](repeating: 1, count: size)
        var buffer = message
        try self.count("blocking stream, \(size) B") {
            try sender.sendBlocking(message.span.bytes)
            try receiver.receiveAll(into: &buffer)
        }
    }

    private func messages(_ size: Int, _ sender: Connection, _ receiver: Connection) throws {
        let message = [UInt8](repeating: 1, count: size)
        try self.count("blocking message, \(size) B") {
            try sender.sendMessageBlocking(message.span.bytes)
            try receiver.receiveOne(size)
        }
    }

    private func borrowing(_ size: Int, _ sender: Connection, _ receiver: Connection) throws {
        try self.count("reserve and borrow, \(size) B") {
            try sender.sendBlocking(reserving: size, atLeast: size) { room in
                room.append(repeating: 1, count: size, as: UInt8.self)
            }
            guard try receiver.receiveBlocking(atLeast: size, { _ in size }) == size else {
                throw BenchmarkError("a message came in parts")
            }
        }
    }

    private func suspending(_ size: Int, _ sender: Connection, _ receiver: Connection) async throws {
        let message = [UInt8](repeating: 1, count: size)
        var buffer = message
        for step in 0..<(100 + self.messages) {
            if step == 100 { baseline_begin("async stream, \(size) B") }
            try await sender.send(message.span.bytes)
            guard try await receiver.receive(into: &buffer) == size else {
                throw BenchmarkError("a message came in parts")
            }
        }
        baseline_end("async stream, \(size) B")
    }
}

/// Costs an allocation, retains, and a checked access.
private final class Box {
    private var content: AnyObject?
    private var bytes = [UInt8]()

    @inline(never)
    func fill() {
        self.content = Box.make()
        withExtendedLifetime(self.content) {}
        Box.change(&self.bytes)
    }

    @inline(never)
    private static func make() -> AnyObject { NSObject() }

    @inline(never)
    private static func change(_ bytes: inout [UInt8]) { bytes.append(1) }
}
