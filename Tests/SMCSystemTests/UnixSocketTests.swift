import Glibc
import SMCSystem
import Testing

/// Messages with boundaries, and descriptors that travel in them.
struct UnixSocketTests {
    private struct Pair: ~Copyable {
        let client: UnixSocket
        let server: UnixSocket
    }

    private static func path() -> String { "/tmp/swift-smc-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock" }

    private static func pair() throws -> Pair {
        let path = Self.path()
        defer { unlink(path) }
        let listener = try UnixSocket.listen(path: path)
        let client = try UnixSocket.connect(path: path)
        guard let server = try listener.accept() else { throw SystemCallError(call: "accept", errno: 0) }
        return Pair(client: client, server: server)
    }

    @Test func boundariesAreKept() throws {
        let pair = try Self.pair()
        #expect(try pair.server.receive(maximumByteCount: 100) == nil)
        try pair.client.send([1, 2, 3])
        try pair.client.send([4])
        let first = try pair.server.receive(maximumByteCount: 100)!
        #expect(first.bytes == [1, 2, 3] && first.descriptors.isEmpty && !first.isTruncated)
        let second = try pair.server.receive(maximumByteCount: 100)!
        #expect(second.bytes == [4])
        #expect(try pair.server.receive(maximumByteCount: 100) == nil)
    }

    @Test func aMessageThatIsTooLongIsToldApart() throws {
        let pair = try Self.pair()
        try pair.client.send([UInt8](repeating: 7, count: 50))
        try pair.client.send([8])
        let long = try pair.server.receive(maximumByteCount: 49)!
        #expect(long.isTruncated && long.bytes.count == 49)
        let next = try pair.server.receive(maximumByteCount: 49)!
        #expect(next.bytes == [8] && !next.isTruncated, "the rest of it is gone")
    }

    @Test func descriptorsArrive() throws {
        let pair = try Self.pair()
        let file = try MemoryFile.create(name: "smc-test", byteCount: 4096)
        try Mapping(file).write([42], at: 7)
        try pair.client.send([1], descriptors: [file.descriptor.rawValue])
        let received = try pair.server.receive(maximumByteCount: 10)!
        #expect(received.descriptors.count == 1)
        let arrived = try MemoryFile.adopt(OwnedDescriptor(adopting: received.descriptors[0]), byteCount: 4096)
        #expect(try Mapping(arrived).read(1, at: 7) == [42])
        #expect(fcntl(arrived.descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }

    /// More than may be are not taken, and none of them stays open.
    @Test func tooManyDescriptorsLeakNothing() throws {
        let pair = try Self.pair()
        let event = Event(try EventDescriptor())
        let most = UnixSocket.maximumDescriptorsPerMessage
        try pair.client.send([1], descriptors: [Int32](repeating: event.number, count: most))
        let received = try pair.server.receive(maximumByteCount: 10)!
        #expect(received.descriptors.count == most && !received.isTruncated)
        for number in received.descriptors { close(number) }
        #expect(throws: SystemCallError.self) {
            try pair.client.send([1], descriptors: [Int32](repeating: event.number, count: most + 1))
        }
    }

    @Test func theEndIsAnEmptyMessage() throws {
        let path = Self.path()
        defer { unlink(path) }
        let listener = try UnixSocket.listen(path: path)
        #expect(try listener.accept() == nil)
        let server = try Self.acceptAndDropClient(listener, path)
        #expect(try server.receive(maximumByteCount: 10)!.bytes.isEmpty)
        #expect(throws: SystemCallError(call: "sendmsg", errno: Errno.brokenPipe)) { try server.send([1]) }
    }

    private static func acceptAndDropClient(
        _ listener: borrowing UnixSocket, _ path: String
    ) throws -> UnixSocket {
        let client = try UnixSocket.connect(path: path)
        let server = try listener.accept()!
        _ = consume client
        return server
    }

    @Test func aFullQueueBlocksNobody() throws {
        let pair = try Self.pair()
        var sent = 0
        let message = [UInt8](repeating: 1, count: 1000)
        do {
            while sent < 100_000 {
                try pair.client.send(message)
                sent += 1
            }
            Issue.record("the queue has no end")
        } catch {
            #expect(error.errno == Errno.tryAgain)
        }
        var received = 0
        while try pair.server.receive(maximumByteCount: 1000) != nil { received += 1 }
        #expect(received == sent)
    }

    @Test func theKernelTellsWhoItIs() throws {
        let pair = try Self.pair()
        let expected = PeerCredentials(processID: getpid(), userID: getuid(), groupID: getgid())
        #expect(try pair.server.peerCredentials() == expected)
        #expect(try pair.client.peerCredentials() == expected)
    }

    @Test func badPathsAreRefused() throws {
        for path in ["", String(repeating: "x", count: 108), "/tmp/no-such-directory-\(getpid())/x"] {
            #expect(throws: SystemCallError.self) { _ = try UnixSocket.listen(path: path) }
            #expect(throws: SystemCallError.self) { _ = try UnixSocket.connect(path: path) }
        }
    }
}
