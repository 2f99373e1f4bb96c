import CBaseline
import SMC

/// Messages, and data that is made and read by the program.
extension OurPeer {
    private var size: Int { self.command.size }
    private var count: Int { self.command.count }

    // MARK: Messages

    func pingMessages(_ connection: Connection) throws -> Int64 {
        let message = [UInt8](repeating: 1, count: self.size)
        let begin = baseline_now()
        for _ in 0..<self.count {
            try connection.sendMessageBlocking(message.span.bytes)
            try connection.receiveOne(self.size)
        }
        return baseline_now() - begin
    }

    func serveMessages(_ connection: Connection) throws {
        let message = [UInt8](repeating: 1, count: self.size)
        for _ in 0..<self.count {
            try connection.receiveOne(self.size)
            try connection.sendMessageBlocking(message.span.bytes)
        }
    }

    func sendMessages(_ connection: Connection) throws -> Int64 {
        let message = [UInt8](repeating: 1, count: self.size)
        let begin = baseline_now()
        for _ in 0..<self.count { try connection.sendMessageBlocking(message.span.bytes) }
        try connection.receiveOne(1)
        return baseline_now() - begin
    }

    func receiveMessages(_ connection: Connection) throws {
        for _ in 0..<self.count { try connection.receiveOne(self.size) }
        try connection.sendMessageBlocking([UInt8(1)].span.bytes)
    }

    // MARK: Asynchronous calls

    func pingAsync(_ connection: Connection) async throws {
        let message = [UInt8](repeating: 1, count: self.size)
        var answer = message
        let begin = baseline_now()
        for _ in 0..<self.count {
            try await connection.send(message)
            guard try await connection.receive(into: &answer) == self.size else { throw BenchmarkError("a part came") }
        }
        self.command.sayResult(nanoseconds: baseline_now() - begin)
    }

    func serveAsync(_ connection: Connection) async throws {
        var message = [UInt8](repeating: 0, count: self.size)
        for _ in 0..<self.count {
            guard try await connection.receive(into: &message) == self.size else { throw BenchmarkError("a part came") }
            try await connection.send(message)
        }
    }

    // MARK: Data that is made and read

    func copyOut(_ connection: Connection) throws -> Int64 {
        var message = [UInt8](repeating: 1, count: self.size)
        var answer: [UInt8] = [0]
        let begin = baseline_now()
        for step in 0..<self.count {
            message.withUnsafeMutableBytes {
                baseline_produce($0.baseAddress, $0.count, UInt8(truncatingIfNeeded: step))
            }
            try connection.sendBlocking(message.span.bytes)
        }
        try connection.receiveAll(into: &answer)
        return baseline_now() - begin
    }

    func copyIn(_ connection: Connection) throws {
        var message = [UInt8](repeating: 0, count: self.size)
        for step in 0..<self.count {
            try connection.receiveAll(into: &message)
            let sum = message.withUnsafeBytes { baseline_consume($0.baseAddress, $0.count) }
            try self.check(sum, step)
        }
        try connection.sendBlocking([UInt8(1)].span.bytes)
    }

    /// The largest part of a message that is made and read in one piece: an eighth of the ring.
    private static var pieceByteCount: Int { 131_072 }

    private func forEachPiece(_ body: (_ count: Int) throws -> Void) rethrows {
        var done = 0
        while done < self.size {
            let count = min(self.size - done, Self.pieceByteCount)
            try body(count)
            done += count
        }
    }

    func lendOut(_ connection: Connection) throws -> Int64 {
        var answer: [UInt8] = [0]
        let begin = baseline_now()
        for step in 0..<self.count {
            try self.forEachPiece { count in
                try connection.sendBlocking(reserving: count, atLeast: count) { room in
                    room.withUnsafeMutableBytes { bytes, initialized in
                        baseline_produce(bytes.baseAddress, count, UInt8(truncatingIfNeeded: step))
                        initialized = count
                    }
                }
            }
        }
        try connection.receiveAll(into: &answer)
        return baseline_now() - begin
    }

    func borrowIn(_ connection: Connection) throws {
        for step in 0..<self.count {
            var sum: UInt64 = 0
            try self.forEachPiece { count in
                let used = try connection.receiveBlocking(atLeast: count) { bytes in
                    sum &+= bytes.withUnsafeBytes { baseline_consume($0.baseAddress, count) }
                    return count
                }
                guard used == count else { throw BenchmarkError("the peer ended the stream early") }
            }
            try self.check(sum, step)
        }
        try connection.sendBlocking([UInt8(1)].span.bytes)
    }

    private func check(_ sum: UInt64, _ step: Int) throws {
        let word = UInt64(UInt8(truncatingIfNeeded: step)) &* 0x0101_0101_0101_0101
        guard sum == word &* UInt64(self.size / 8) else { throw BenchmarkError("other data came than was sent") }
    }
}

extension Connection {
    /// Receives one message, which has so many bytes.
    @inline(__always)
    func receiveOne(_ size: Int) throws {
        var count = -1
        guard try self.receiveMessageBlocking({ count = $0.byteCount }), count == size else {
            throw BenchmarkError("a message of \(count) bytes instead of \(size)")
        }
    }
}
