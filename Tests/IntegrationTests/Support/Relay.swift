import Foundation

/// Stands between two programs that shake hands over CLC, and may change what they say; everything after that passes
/// unchanged. So tests can forge messages of real programs without building them.
final class Relay: Sendable {
    private let listener: RawSocket
    private let target: Int

    /// One CLC message: where it goes, and its bytes.
    enum Message {
        case proposal, accept, confirm
    }

    /// Where the token of an SMB lies in an Accept or Confirm for shared memory: after header and GID.
    static let tokenRange = 16..<24

    init(to port: Int) throws {
        self.listener = try RawSocket.listen()
        self.target = port
    }

    var port: Int { self.listener.port }

    /// Serves one connection to its end.
    ///
    /// - Parameter change: gives the bytes to pass on instead.
    func serve(_ change: @Sendable (Message, [UInt8]) async throws -> [UInt8]) async throws {
        let client = try await self.listener.accept()
        let server = try RawSocket.connect(port: self.target)
        try await server.write(change(.proposal, client.readCLC()))
        let answer = try await server.readCLC()
        let isAccept = answer[4] == 2
        try await client.write(isAccept ? change(.accept, answer) : answer)
        if isAccept {
            let reply = try await client.readCLC()
            let isConfirm = reply[4] == 3
            try await server.write(isConfirm ? change(.confirm, reply) : reply)
        }
        async let forth: Void = Self.pass(from: client, to: server)
        async let back: Void = Self.pass(from: server, to: client)
        _ = try await (forth, back)
    }

    private static func pass(from source: RawSocket, to target: RawSocket) async throws {
        while true {
            let bytes = try await source.read()
            if bytes.isEmpty { return target.finishWriting() }
            try await target.write(bytes)
        }
    }
}

extension RawSocket {
    /// A whole CLC message, by the length in its header.
    func readCLC() async throws -> [UInt8] {
        let header = try await self.read(exactly: 8)
        return header + (try await self.read(exactly: Int(header[5]) << 8 + Int(header[6]) - 8))
    }
}
