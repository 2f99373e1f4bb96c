import Foundation
import SMC

/// The other end: sends one byte on every connection, then waits for its end.
enum Server {
    static func run(_ socket: String) async throws {
        var configuration = Configuration()
        configuration.hypervisor = .socket(socket)
        configuration.paths = [.sharedMemory, .tcp]
        let listener = try await Partition.join(configuration).listen(on: "127.0.0.1", port: 0)
        let bare = BareTCP.listen()
        print(listener.port, bare.port)
        fflush(nil)
        Thread.detachNewThread { BareTCP.serve(bare.descriptor) }
        await withDiscardingTaskGroup { connections in
            for await connection in listener { connections.addTask { await Self.serve(connection) } }
        }
    }

    private static func serve(_ connection: Connection) async {
        do {
            try await connection.send([7])
            while try await connection.receive(atMost: 16) != nil {}
        } catch {
            // The client closed while the byte was on its way.
        }
        await connection.close()
    }
}

/// TCP with the kernel's calls and nothing between.
enum BareTCP {
    private static func withLoopback<Result>(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func listen() -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        precondition(self.withLoopback(0) { bind(descriptor, $0, $1) } == 0 && Glibc.listen(descriptor, 1024) == 0)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return (descriptor, Int(in_port_t(bigEndian: address.sin_port)))
    }

    static func serve(_ listener: Int32) {
        while true {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            var byte: UInt8 = 7
            _ = send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL))
            _ = recv(descriptor, &byte, 1, 0)
            close(descriptor)
        }
    }

    static func connect(_ port: Int) throws -> Duration {
        let start = ContinuousClock.now
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        let code = self.withLoopback(port) { Glibc.connect(descriptor, $0, $1) }
        var byte: UInt8 = 0
        guard code == 0, recv(descriptor, &byte, 1, 0) == 1, byte == 7 else { throw POSIXError(.ECONNREFUSED) }
        return ContinuousClock.now - start
    }
}
