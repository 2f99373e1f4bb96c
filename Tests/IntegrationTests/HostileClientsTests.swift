import Foundation
import SMCControl
import SMCSystem
import SMCWire
import Testing

/// Clients of the hypervisor's socket that mean no good: only they may suffer.
@Suite struct HostileClientsTests {
    private static let mebibyte = 1 << 20

    @Test func tenThousandSessionsAreBoundedAndRefused() async throws {
        _ = try ResourceLimits.raiseDescriptorLimit()
        try await Scene.play(limit: 120, isAlone: true) { scene in
            let hypervisor = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let bystander = try await EchoClient(scene, port: echo.port(), count: 2)
            let before = try Self.anonymousByteCount(hypervisor)
            let descriptorCount = hypervisor.descriptorCount
            let event = try EventDescriptor()
            var held: [HeldSocket] = []
            for number in 0..<10_000 {
                let socket = try await Self.connect(scene)
                // Half of them say nothing, half of them greet; those that come too late bring something along.
                let extra = number < 2000 ? [] : [event.descriptor.rawValue]
                if number % 2 == 0 {
                    try? socket.send(ControlRequest.hello.encoded(requestID: 1), descriptors: extra)
                }
                let kept = HeldSocket(socket)
                if number < 1500 || number % 97 == 0 { held.append(kept) }
            }
            // Everything that was held beyond the limit was refused, and told so.
            var refusal: (HypervisorRefusal, String)?
            try await scene.until("somebody is refused") {
                for socket in held where refusal == nil { refusal = socket.refusal() }
                return refusal != nil
            }
            #expect(refusal?.0 == .tooManySessions)
            #expect(refusal?.1.contains("as many as") == true)
            let fewer = hypervisor.descriptorCount - descriptorCount
            #expect(fewer <= 1024, "\(fewer) sessions")
            do throws(ControlError) {
                _ = try HypervisorSession.connect(socketPath: scene.socket)
                Issue.record("one more was taken")
            } catch {
                guard case .refused(.tooManySessions, _) = error else { throw error }
            }
            let during = try Self.anonymousByteCount(hypervisor)
            #expect(during < before + 32 * Self.mebibyte, "\(before) -> \(during) bytes")
            // Who is in stays in.
            let rounds = bystander.rounds
            try await scene.until("the others go on") { zip(bystander.rounds, rounds).allSatisfy { $0 > $1 } }
            held.removeAll()
            try await scene.until("the sessions are gone") { hypervisor.descriptorCount <= descriptorCount }
            let ping = try await scene.smc("ping", "--require", "shm", "--count", "1", "127.0.0.1:\(echo.port())")
            #expect(try await ping.exit() == 0, "\(ping.errors)")
            #expect(await bystander.end { _ in .close } == [])
            await bystander.leave()
        }
    }

    /// Messages that are none.
    static let messages: [(String, [UInt8])] = {
        let hello = ControlRequest.hello.encoded(requestID: 1)
        func withLength(_ length: [UInt8], _ body: [UInt8] = []) -> [UInt8] { Array(hello[..<12]) + length + body }
        return [
            ("half a header", Array(hello.prefix(7))),
            ("a header that says more than comes", withLength([0, 0, 0, 200])),
            ("a length of 4 GiB", withLength([0xff, 0xff, 0xff, 0xff])),
            (
                "a length of 4 GiB with a full packet",
                withLength([0xff, 0xff, 0xff, 0xff], [UInt8](repeating: 1, count: 65_000))
            ),
            ("a length of nothing", withLength([0, 0, 0, 0])),
            ("one byte", [0]), ("garbage", (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 31) }),
            ("half a request", Array(ControlRequest.join(name: "name", vlans: []).encoded(requestID: 1).dropLast(3))),
            ("more than a packet may be", [UInt8](repeating: 0x53, count: 100_000)),
        ]
    }()

    @Test func brokenMessagesAndDescriptorsCostTheirSendersSessionOnly() async throws {
        try await Scene.play(limit: 90) { scene in
            let hypervisor = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let bystander = try await EchoClient(scene, port: echo.port(), count: 2)
            let before = try Self.anonymousByteCount(hypervisor)
            let descriptorCount = hypervisor.descriptorCount
            let memory = try MemoryFile.create(name: "foreign", byteCount: 8192)
            let event = try EventDescriptor()
            let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
            defer { close(null) }
            let kinds = [memory.descriptor.rawValue, event.descriptor.rawValue, null]
            for turn in 0..<4 {
                for (name, bytes) in Self.messages {
                    let socket = try await Self.connect(scene)
                    try socket.send(bytes, descriptors: turn % 2 == 0 ? [] : kinds)
                    try await Self.expectMalformed(scene, HeldSocket(socket), name)
                }
                // A request that is one, with descriptors that it must not have: one, and as many as the kernel carries.
                for count in [1, UnixSocket.maximumDescriptorsPerMessage] {
                    let socket = try await Self.connect(scene)
                    let many = (0..<count).map { kinds[$0 % kinds.count] }
                    try socket.send(ControlRequest.hello.encoded(requestID: 1), descriptors: many)
                    try await Self.expectMalformed(scene, HeldSocket(socket), "\(count) descriptors")
                }
            }
            try await scene.until("every descriptor is closed") { hypervisor.descriptorCount <= descriptorCount }
            let after = try Self.anonymousByteCount(hypervisor)
            #expect(after < before + 16 * Self.mebibyte, "\(before) -> \(after) bytes")
            #expect(await bystander.end { _ in .close } == [])
            await bystander.leave()
        }
    }

    /// Closing the last descriptor of such a socket waits until the kernel has sent what is in it: for ever, if the
    /// other end takes nothing.
    @Test func aSocketThatLingersHoldsNobodyUp() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor()
            let socket = try await Self.connect(scene)
            let sink = try RawSocket.listen()
            // Standing still while it is sent, so that the last descriptor is the one that the hypervisor gets.
            hypervisor.send(SIGSTOP)
            try Self.withLingeringSocket(port: sink.port) { number in
                try socket.send(ControlRequest.hello.encoded(requestID: 1), descriptors: [number])
            }
            hypervisor.send(SIGCONT)
            for _ in 0..<20 { _ = try HypervisorSession.connect(socketPath: scene.socket).status() }
        }
    }

    private static func withLingeringSocket(port: Int, _ body: (Int32) throws -> Void) throws {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(number) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Scene.Trouble(description: "cannot connect: \(errno)") }
        var option = linger(l_onoff: 1, l_linger: 20)
        setsockopt(number, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        // Filled, so that its end cannot be sent.
        let bytes = [UInt8](repeating: 0, count: 65_536)
        while send(number, bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 {}
        try body(number)
    }

    /// A hypervisor without descriptors refuses what needs one, and goes on.
    @Test func withoutDescriptorsTheHypervisorRefusesAndGoesOn() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor()
            let one = try HypervisorSession.connect(socketPath: scene.socket)
            let address = try one.join(name: "one").addresses[0].smgid
            let two = try HypervisorSession.connect(socketPath: scene.socket)
            let peer = try two.join(name: "two").addresses[0].smgid
            let first = try one.createSMB(ringByteCount: 1, on: address)
            // No number is left that is not in use, but for the one that it has in reserve.
            let limit = try scene.start(
                "/usr/bin/prlimit", ["--pid", "\(hypervisor.processID)", "--nofile=\(hypervisor.descriptorCount):"])
            #expect(try await limit.exit() == 0, "\(limit.errors)")
            let refused = Self.refusal { _ = try one.bind(first.owner, to: peer) }
            #expect(refused == .outOfResources, "a pair needs four: \(String(describing: refused))")
            for _ in 0..<5 {
                // The session goes on; what needs one descriptor for a moment gets it.
                let smb = try one.createSMB(ringByteCount: 1, on: address)
                try one.destroy(smb.owner)
                let refusal = Self.refusal { _ = try HypervisorSession.connect(socketPath: scene.socket) }
                #expect(refusal == .outOfResources)
            }
            // It does not spin meanwhile.
            let ticks = try Self.processorTicks(hypervisor)
            try await SceneThread.shared.sleep(milliseconds: 500)
            #expect(try Self.processorTicks(hypervisor) - ticks < 25, "hundredths of a second")
            let more = try scene.start("/usr/bin/prlimit", ["--pid", "\(hypervisor.processID)", "--nofile=1024:"])
            #expect(try await more.exit() == 0)
            let bound = try one.bind(first.owner, to: peer)
            _ = try two.accept(bound.offer, from: address)
            _ = try HypervisorSession.connect(socketPath: scene.socket).status()
        }
    }

    // MARK: The socket's file

    @Test(arguments: [false, true]) func aSocketThatWasRemovedIsMadeAnew(withLock: Bool) async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let bystander = try await EchoClient(scene, port: echo.port(), count: 1)
            unlink(scene.socket)
            if withLock { unlink(scene.socket + ".lock") }
            try await scene.until("it is there again") {
                (try? HypervisorSession.connect(socketPath: scene.socket)) != nil
            }
            let session = try HypervisorSession.connect(socketPath: scene.socket)
            #expect(session.hypervisor.processID == hypervisor.processID)
            #expect(try session.status().partitions.count == 2, "sessions went on")
            // There is still only one.
            let second = try scene.start(Program.smc, ["hypervisor", "--socket", scene.socket, "--pool", "4M"])
            #expect(try await second.exit() == 5)
            #expect(await bystander.end { _ in .close } == [])
            await bystander.leave()
        }
    }

    @Test func aHypervisorWhosePlaceWasTakenServesItsSessionsAndEnds() async throws {
        try await Scene.play { scene in
            let first = try await scene.hypervisor()
            let session = try HypervisorSession.connect(socketPath: scene.socket)
            _ = try session.join(name: "stays")
            // Stopped, so that the second one comes first.
            first.send(SIGSTOP)
            unlink(scene.socket)
            unlink(scene.socket + ".lock")
            let second = try await scene.hypervisor()
            first.send(SIGCONT)
            _ = try await first.line("another hypervisor has taken the socket's place")
            #expect(try session.status().partitions.map(\.name) == ["stays"])
            let new = try HypervisorSession.connect(socketPath: scene.socket)
            #expect(new.hypervisor.processID == second.processID)
            withExtendedLifetime(session) {}
            _ = consume session
            #expect(try await first.exit() == 0)
            #expect(FileManager.default.fileExists(atPath: scene.socket), "the second one's stays")
        }
    }

    // MARK: Helpers

    private static func connect(_ scene: Scene) async throws -> UnixSocket {
        while true {
            do throws(SystemCallError) {
                return try UnixSocket.connect(path: scene.socket)
            } catch {
                // The queue of connections is full for a moment.
                guard error.errno == Errno.tryAgain else { throw error }
            }
            try await SceneThread.shared.sleep(milliseconds: 1)
        }
    }

    private static func expectMalformed(_ scene: Scene, _ socket: HeldSocket, _ name: String) async throws {
        var answer: (HypervisorRefusal, String)?
        try await scene.until("an answer to \(name)") {
            answer = socket.refusal()
            return answer != nil
        }
        #expect(answer?.0 == .malformed, "\(name)")
        try await scene.until("the end after \(name)") { socket.isEnded }
    }

    private static func refusal(_ body: () throws -> Void) -> HypervisorRefusal? {
        do {
            try body()
        } catch ControlError.refused(let refusal, _) {
            return refusal
        } catch {
            Issue.record("another error: \(error)")
        }
        return nil
    }

    /// Memory of its own that a process uses: the pool is not in it.
    private static func anonymousByteCount(_ program: Program) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(program.processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 1024
    }

    /// Hundredths of a second that a process has computed.
    private static func processorTicks(_ program: Program) throws -> Int {
        let stat = try String(contentsOfFile: "/proc/\(program.processID)/stat", encoding: .utf8)
        let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
        return try #require(Int(fields[11])) + #require(Int(fields[12]))
    }
}

/// A raw session of the hypervisor's socket.
private final class HeldSocket {
    private let socket: UnixSocket

    init(_ socket: consuming UnixSocket) {
        self.socket = socket
    }

    /// The refusal that has come, if any.
    func refusal() -> (HypervisorRefusal, String)? {
        for _ in 0..<2 {  // A reset is told once, before what was said.
            guard let received = try? self.socket.receive(maximumByteCount: 65_536), !received.bytes.isEmpty,
                let header = try? ControlHeader(decoding: received.bytes),
                case .refused(let refusal, let text) = try? ControlResponse(decoding: received.bytes, header: header)
            else { continue }
            return (refusal, text)
        }
        return nil
    }

    var isEnded: Bool {
        guard let received = try? self.socket.receive(maximumByteCount: 65_536) else { return false }
        return received.bytes.isEmpty
    }
}
