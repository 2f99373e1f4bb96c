import Glibc
import SMCControl
import SMCSystem
import SMCWire
import Synchronization

/// A peer that keeps all it was given, for tests: mapping, descriptors, tokens. It is told what to do line by line on
/// standard input, and answers each line with one. It ends with its input.
@main
struct KeepingPeer {
    private var session: HypervisorSession?
    private var mapping: Mapping?
    private var descriptors: [OwnedDescriptorBox] = []
    private var buffer: BufferToken?
    private let scribbler = Scribbler()

    static func main() {
        var peer = KeepingPeer()
        while let line = readLine() {
            let words = line.split(separator: " ").map(String.init)
            do {
                say(try peer.perform(words))
            } catch ControlError.refused(let refusal, _) {
                say("refused \(refusal.rawValue)")
            } catch {
                say("failed \(error)")
            }
        }
    }

    private struct Nonsense: Error {}

    private mutating func perform(_ words: [String]) throws -> String {
        func number<Number: FixedWidthInteger>(_ index: Int) throws -> Number {
            guard words.count > index, let number = Number(words[index]) else { throw Nonsense() }
            return number
        }
        func word(_ index: Int) throws -> String {
            guard words.count > index else { throw Nonsense() }
            return words[index]
        }
        switch try word(0) {
        case "join":
            let session = try HypervisorSession.connect(socketPath: try word(1), timeout: .seconds(10))
            let membership = try session.join(name: try word(2), vlans: words.dropFirst(3).compactMap { VLANID($0) })
            self.session = session
            guard let address = membership.addresses.first?.smgid else { throw Nonsense() }
            return "\(address.gid) \(address.extendedGID)"
        case "accept":
            let owner = SMGID(gid: try number(2), extendedGID: try number(3))
            let accepted = try self.joined().accept(OfferToken(rawValue: try number(1)), from: owner)
            self.mapping = try Mapping(accepted.file)
            self.descriptors = [OwnedDescriptorBox(try accepted.file.descriptor.duplicate())]
            self.buffer = accepted.buffer
            return "\(accepted.ringByteCount)"
        case "unbind":
            guard let buffer = self.buffer else { throw Nonsense() }
            try self.joined().unbind(buffer)
            return "done"
        case "leave":
            self.session = nil
            return "done"
        case "write":
            // All of it, with one byte.
            let byte: UInt8 = try number(1)
            self.mapping?.write([UInt8](repeating: byte, count: self.mapping?.byteCount ?? 0), at: 0)
            return "done"
        case "see":
            // Which bytes are in it, without the control page.
            let count = (self.mapping?.byteCount ?? 0) - 4096
            return Set(self.mapping?.read(count, at: 4096) ?? []).sorted().map { "\($0)" }.joined(separator: " ")
        case "scribble":
            guard let mapping = self.mapping else { throw Nonsense() }
            self.scribbler.start(mapping, try number(1))
            return "done"
        case "stop":
            return "\(self.scribbler.stop())"
        case "drop":
            switch try word(1) {
            case "mapping": self.mapping = nil
            default: self.descriptors = []
            }
            return "done"
        case "pass":
            guard let first = self.descriptors.first else { throw Nonsense() }
            try UnixSocket.connect(path: try word(1)).send([1], descriptors: [first.descriptor.rawValue])
            return "done"
        case "take": return try self.take(try word(1))
        default: throw Nonsense()
        }
    }

    private func joined() throws -> HypervisorSession {
        guard let session = self.session else { throw Nonsense() }
        return session
    }

    /// Takes what another process passes on, and maps it.
    private mutating func take(_ path: String) throws -> String {
        let listener = try UnixSocket.listen(path: path)
        say("listening")
        guard try Readiness.wait(listener.descriptor.rawValue, timeout: .seconds(20)),
            let socket = try listener.accept(),
            try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(20)),
            let received = try socket.receive(maximumByteCount: 16), let number = received.descriptors.first
        else { throw Nonsense() }
        var status = stat()
        fstat(number, &status)
        let file = try MemoryFile.adopt(OwnedDescriptor(adopting: number), byteCount: Int(status.st_size))
        self.mapping = try Mapping(file)
        return "taken"
    }
}

private func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// A class, because a descriptor cannot be in an array.
private final class OwnedDescriptorBox {
    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }
}

/// Writes one byte over everything, again and again.
private final class Scribbler: Sendable {
    private let worker = Worker(name: "scribbler")
    private let isOver = Atomic(false)
    private let rounds = Atomic(0)
    private let isRunning = Atomic(false)

    func start(_ mapping: Mapping, _ byte: UInt8) {
        self.isOver.store(false, ordering: .releasing)
        self.rounds.store(0, ordering: .releasing)
        self.isRunning.store(true, ordering: .releasing)
        self.worker.enqueue {
            let bytes = [UInt8](repeating: byte, count: mapping.byteCount)
            while !self.isOver.load(ordering: .acquiring) {
                mapping.write(bytes, at: 0)
                self.rounds.wrappingAdd(1, ordering: .acquiringAndReleasing)
            }
            self.isRunning.store(false, ordering: .releasing)
        }
    }

    /// - Returns: how often it wrote, at least once.
    func stop() -> Int {
        while self.rounds.load(ordering: .acquiring) == 0 { usleep(100) }
        self.isOver.store(true, ordering: .releasing)
        while self.isRunning.load(ordering: .acquiring) { usleep(100) }
        return self.rounds.load(ordering: .acquiring)
    }
}
