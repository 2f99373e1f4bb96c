internal import SMCMemory
internal import SMCSystem
internal import Synchronization

/// Bytes where they lie: written by the caller into the peer's ring, or read by it in our own. Over TCP they go through
/// memory in between.
extension StreamConnection {
    /// More than this can neither be reserved nor asked for in one piece: both ends may wait for as much at once.
    package var pieceByteCountMax: Int { self.element.map { $0.ringByteCount / 2 } ?? 1 << 24 }
    var incomingPieceByteCountMax: Int { self.element.map { $0.own.ringByteCount / 2 } ?? 1 << 24 }

    /// Fills reserved memory; returns how many bytes at its front are to be sent.
    package typealias Fill = (UnsafeMutableRawBufferPointer) -> Int
    /// Looks at bytes; returns how many at their front are done with.
    package typealias Look = (UnsafeRawBufferPointer) -> Int

    private func check(_ count: Int, _ limit: Int) throws(TransportError) {
        guard count <= limit else { throw .tooLarge(count, limit: limit) }
    }

    // MARK: Sending

    /// Has `fill` write into room of at least `atLeast` bytes, if there is that much, and sends what it wrote.
    ///
    /// - Returns: false when there is no room. Over TCP there always is, and the call may block for the kernel.
    @unsafe
    package func trySend(reserving atMost: Int, atLeast: Int, _ fill: Fill) throws(TransportError) -> Bool {
        try self.beginSending()
        defer { self.endSending() }
        guard let element = self.element else {
            let bytes = unsafe Self.filled(atMost, fill)
            // SAFETY: the array is held by this call.
            try unsafe self.sendAllBlocking(bytes.span.bytes.withUnsafeBytes { unsafe $0 }, until: nil)
            return true
        }
        try self.check(atLeast, self.pieceByteCountMax)
        guard let place = try unsafe element.reserve(atLeast: atLeast, atMost: atMost) else { return false }
        element.commit(unsafe fill(place))
        return true
    }

    /// As ``trySend(reserving:atLeast:_:)``, blocking the thread until there is room.
    @unsafe
    package func sendBlocking(
        reserving atMost: Int, atLeast: Int, until deadline: ContinuousClock.Instant?, _ fill: Fill
    ) throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        guard let element = self.element else {
            let bytes = unsafe Self.filled(atMost, fill)
            return try unsafe self.sendAllBlocking(bytes.span.bytes.withUnsafeBytes { unsafe $0 }, until: deadline)
        }
        try self.check(atLeast, self.pieceByteCountMax)
        while true {
            if let place = try unsafe element.reserve(atLeast: atLeast, atMost: atMost) {
                return element.commit(unsafe fill(place))
            }
            try self.blockForRoom(atLeast, until: deadline)
        }
    }

    /// As ``trySend(reserving:atLeast:_:)``, suspending the task until there is room.
    @unsafe
    nonisolated(nonsending) package func send(
        reserving atMost: Int, atLeast: Int, until deadline: ContinuousClock.Instant?, _ fill: Fill
    ) async throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        guard let element = self.element else {
            let bytes = unsafe Self.filled(atMost, fill)
            return try await unsafe self.sendAll(bytes.span.bytes.withUnsafeBytes { unsafe $0 }, until: deadline)
        }
        try self.check(atLeast, self.pieceByteCountMax)
        while true {
            if let place = try unsafe element.reserve(atLeast: atLeast, atMost: atMost) {
                return element.commit(unsafe fill(place))
            }
            try await self.waitForRoom(atLeast, until: deadline)
        }
    }

    private static func filled(_ atMost: Int, _ fill: Fill) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: max(atMost, 0)) { buffer, count in
            count = unsafe fill(UnsafeMutableRawBufferPointer(buffer))
        }
    }

    // MARK: Receiving

    /// What a look brought.
    enum Looked: Equatable {
        /// Bytes that were done with.
        case taken(Int)
        /// There are too few; wait for this many.
        case missing(Int)
        case end
    }

    /// Shows all that waits, if that is `atLeast` bytes, or all that will ever come.
    @unsafe
    func look(atLeast: Int, _ look: Look) throws(TransportError) -> Looked {
        guard let element = self.element else { return try unsafe self.lookAtInbox(atLeast, look) }
        switch try unsafe element.peek(atLeast: atLeast) {
        case .bytes(let bytes):
            let count = unsafe look(bytes)
            precondition(count >= 0 && count <= bytes.count, "more bytes done with than there were")
            try element.consume(count)
            return .taken(count)
        case .wouldBlock: return .missing(atLeast)
        case .end:
            let left = element.receiver.knownCount
            return left > 0 && left < atLeast ? try unsafe self.look(atLeast: left, look) : .end
        }
    }

    @unsafe
    private func lookAtInbox(_ atLeast: Int, _ look: Look) throws(TransportError) -> Looked {
        while self.inbox.count < max(atLeast, 1) {
            var chunk = [UInt8](repeating: 0, count: 65_536)
            var span = chunk.mutableSpan
            // SAFETY: the array is ours, and any bytes are valid in it.
            var raw = unsafe span.mutableBytes
            switch try unsafe self.transport.tryReceive(into: raw.withUnsafeMutableBytes { unsafe $0 }) {
            case .bytes(let count): self.inbox.append(chunk[..<count])
            case .wouldBlock: return .missing(atLeast)
            case .end:
                guard self.inbox.count > 0 else { return .end }
                return .taken(unsafe self.show(look))
            }
        }
        return .taken(unsafe self.show(look))
    }

    @unsafe
    private func show(_ look: Look) -> Int {
        self.inbox.withBytes { waiting in
            let count = unsafe waiting.withUnsafeBytes { unsafe look($0) }
            precondition(count >= 0 && count <= waiting.count, "more bytes done with than there were")
            return (count, count)
        }
    }

    /// Shows all that waits, if that is `atLeast` bytes.
    ///
    /// - Returns: how many were done with, `.wouldBlock` when there are too few.
    @unsafe
    package func tryReceive(atLeast: Int, _ look: Look) throws(TransportError) -> ReceiveResult {
        try self.beginReceiving()
        defer { self.endReceiving() }
        try self.check(atLeast, self.incomingPieceByteCountMax)
        switch try unsafe self.look(atLeast: atLeast, look) {
        case .taken(let count): return .bytes(count)
        case .missing: return .wouldBlock
        case .end: return .end
        }
    }

    /// As ``tryReceive(atLeast:_:)``, blocking the thread, which is woken once.
    ///
    /// - Returns: nil at the end.
    @unsafe
    package func receiveBlocking(
        atLeast: Int, until deadline: ContinuousClock.Instant?, _ look: Look
    ) throws(TransportError) -> Int? {
        try self.beginReceiving()
        defer { self.endReceiving() }
        try self.check(atLeast, self.incomingPieceByteCountMax)
        while true {
            switch try unsafe self.look(atLeast: atLeast, look) {
            case .taken(let count): return count
            case .missing(let count): try self.blockForBytes(count, until: deadline)
            case .end: return nil
            }
        }
    }

    /// As ``tryReceive(atLeast:_:)``, suspending the task, which is woken once.
    ///
    /// - Returns: nil at the end.
    @unsafe
    nonisolated(nonsending) package func receive(
        atLeast: Int, until deadline: ContinuousClock.Instant?, _ look: Look
    ) async throws(TransportError) -> Int? {
        try self.beginReceiving()
        defer { self.endReceiving() }
        try self.check(atLeast, self.incomingPieceByteCountMax)
        while true {
            switch try unsafe self.look(atLeast: atLeast, look) {
            case .taken(let count): return count
            case .missing(let count): try await self.waitForBytes(count, until: deadline)
            case .end: return nil
            }
        }
    }
}
