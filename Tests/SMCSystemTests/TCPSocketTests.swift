import Glibc
import SMCSystem
import Testing

struct TCPSocketTests {
    private struct Pair {
        let client: TCPSocket
        let server: TCPSocket
    }

    private static func pair(_ host: String = "127.0.0.1") throws -> Pair {
        let any = try #require(try SocketAddress.resolve(host: host, port: 0).first)
        let listener = try TCPSocket.listen(on: any, backlog: 4)
        let address = try listener.localAddress()
        let client = try TCPSocket.startConnecting(to: address)
        #expect(try Readiness.wait(client.descriptor, toWrite: true, timeout: .seconds(5)))
        try client.connectResult()
        #expect(try Readiness.wait(listener.descriptor, timeout: .seconds(5)))
        let server = try #require(try listener.accept())
        #expect(try listener.accept() == nil)
        return Pair(client: client, server: server)
    }

    private static func awaitReadable(_ socket: TCPSocket) throws {
        #expect(try Readiness.wait(socket.descriptor, timeout: .seconds(5)))
    }

    @Test func bytesGoBothWays() throws {
        let pair = try Self.pair()
        #expect(try pair.server.read(10) == nil)
        #expect(try pair.server.peek(10) == nil)
        #expect(try pair.client.write([1, 2, 3, 4], from: 1) == 3)
        try Self.awaitReadable(pair.server)
        #expect(try pair.server.peek(2) == [2, 3], "looking takes nothing")
        #expect(try pair.server.read(2) == [2, 3])
        #expect(try pair.server.read(10) == [4])
        #expect(try pair.server.write([9], from: 0) == 1)
        try Self.awaitReadable(pair.client)
        #expect(try pair.client.read(10) == [9])
    }

    @Test func theEndIsSeen() throws {
        let pair = try Self.pair()
        #expect(!pair.server.hasPeerFinished)
        _ = try pair.client.write([1], from: 0)
        pair.client.shutdownWriting()
        try Self.awaitReadable(pair.server)
        #expect(try Readiness.wait(pair.server.descriptor, timeout: .seconds(1)))
        #expect(try pair.server.read(10) == [1])
        try Self.awaitReadable(pair.server)
        #expect(try pair.server.read(10) == [])
        #expect(try pair.server.peek(10) == [])
        #expect(pair.server.hasPeerFinished)
        // The other direction is open.
        _ = try pair.server.write([2], from: 0)
        try Self.awaitReadable(pair.client)
        #expect(try pair.client.read(10) == [2])
        #expect(throws: SystemCallError(call: "send", errno: Errno.brokenPipe)) { try pair.client.write([3], from: 0) }
    }

    /// The peer gets an error at once, though both descriptors are open, and what it has not read yet first.
    @Test func aResetIsNoOrderlyEnd() throws {
        let pair = try Self.pair()
        _ = try pair.client.write([1], from: 0)
        try Self.awaitReadable(pair.server)
        pair.client.reset()
        var result: Result<[UInt8]?, any Error> = .success([1])
        let limit = ContinuousClock.now.advanced(by: .seconds(5))
        while ContinuousClock.now < limit {
            result = Result { try pair.server.read(10) }
            if case .success([1]) = result { continue }
            if case .success(nil) = result { continue }
            break
        }
        guard case .failure(let error as SystemCallError) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(error.errno == Errno.connectionReset)
    }

    @Test func aFullWindowTakesNothing() throws {
        let pair = try Self.pair()
        let bytes = [UInt8](repeating: 5, count: 1 << 20)
        var written = 0
        while written < 1 << 28 {
            let count = try pair.client.write(bytes, from: 0)
            if count == 0 { break }
            written += count
        }
        #expect(written > 0 && written < 1 << 28)
        var read = 0
        while read < written, let more = try pair.server.read(1 << 20), !more.isEmpty {
            read += more.count
            if read < written { _ = try Readiness.wait(pair.server.descriptor, timeout: .seconds(5)) }
        }
        #expect(read == written)
    }

    @Test func aRefusedConnectionSaysSo() throws {
        let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: 0).first)
        let port: UInt16
        do {
            let listener = try TCPSocket.listen(on: any, backlog: 1)
            port = try listener.localAddress().port
        }
        #expect(throws: SystemCallError(call: "connect", errno: Errno.connectionRefused)) {
            let socket = try TCPSocket.startConnecting(to: any.with(port: port))
            _ = try Readiness.wait(socket.descriptor, toWrite: true, timeout: .seconds(5))
            try socket.connectResult()
        }
    }

    @Test func addressesOfBothEndsAgree() throws {
        let pair = try Self.pair()
        #expect(try pair.client.localAddress() == pair.server.peerAddress())
        #expect(try pair.client.peerAddress() == pair.server.localAddress())
        #expect(try pair.client.localAddress().isIPv4)
    }

    @Test func allOptionsOfADeadPeerAreSet() throws {
        let pair = try Self.pair()
        pair.client.tune(deadPeerLimit: .seconds(9))
        func option(_ level: Int32, _ name: Int32) -> Int32 {
            var (value, length) = (Int32(-1), socklen_t(4))
            getsockopt(pair.client.descriptor, level, name, &value, &length)
            return value
        }
        #expect(option(Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
        #expect(option(SOL_SOCKET, SO_KEEPALIVE) == 1)
        #expect(option(Int32(IPPROTO_TCP), TCP_KEEPIDLE) == 3)
        #expect(option(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT) == 0, "it would end the connection of a slow reader")
    }
}
