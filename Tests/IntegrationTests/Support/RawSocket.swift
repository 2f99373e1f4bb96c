import Foundation

/// A plain TCP socket of the test's own, for peers that do not behave.
final class RawSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) throws {
        guard descriptor >= 0 else {
            throw Scene.Trouble(description: "no socket: \(String(cString: strerror(errno)))")
        }
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(self.descriptor)
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func with(_ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func open() -> Int32 { socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }

    /// Connects on this machine.
    static func connect(port: Int) throws -> RawSocket {
        let descriptor = Self.open()
        let result = Self.with(Self.loopback(port: port)) { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else { throw Scene.Trouble(description: "cannot connect to port \(port)") }
        return try RawSocket(descriptor)
    }

    /// Listens on this machine, on a port that the system chooses.
    static func listen() throws -> RawSocket {
        let descriptor = Self.open()
        let result = Self.with(Self.loopback(port: 0)) { bind(descriptor, $0, $1) }
        guard result == 0, Glibc.listen(descriptor, 8) == 0 else { throw Scene.Trouble(description: "cannot listen") }
        return try RawSocket(descriptor)
    }

    /// A port where nobody listens.
    static func unusedPort() throws -> Int { try Self.listen().port }

    var port: Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(self.descriptor, $0, &size) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    func accept() async throws -> RawSocket {
        while true {
            let descriptor = Glibc.accept(self.descriptor, nil, nil)
            if descriptor >= 0 { return try RawSocket(descriptor) }
            try await Self.pause(while: errno)
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 { rest = rest.dropFirst(count) } else { try await Self.pause(while: errno) }
        }
    }

    /// At least one byte; none at the end of the stream or when it was reset.
    func read(atMost maximum: Int = 65_536) async throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: maximum)
        while true {
            let count = recv(self.descriptor, &buffer, maximum, 0)
            if count >= 0 { return Array(buffer[..<count]) }
            if errno == ECONNRESET { return [] }
            try await Self.pause(while: errno)
        }
    }

    func read(exactly count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try await self.read(atMost: count - bytes.count)
            guard !more.isEmpty else {
                throw Scene.Trouble(description: "the end came after \(bytes.count) of \(count) bytes")
            }
            bytes += more
        }
        return bytes
    }

    func readToEnd() async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let more = try await self.read()
            if more.isEmpty { return bytes }
            bytes += more
        }
    }

    func finishWriting() {
        shutdown(self.descriptor, Int32(SHUT_WR))
    }

    /// A scene that runs out of time cancels its task, and so ends every wait.
    private static func pause(while code: Int32) async throws {
        guard code == EAGAIN || code == EINTR else {
            throw Scene.Trouble(description: "the socket failed: \(String(cString: strerror(code)))")
        }
        try await SceneThread.shared.sleep(milliseconds: 3)
    }
}
