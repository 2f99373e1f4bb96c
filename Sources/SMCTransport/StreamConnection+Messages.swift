internal import SMCMemory
internal import SMCSystem
internal import Synchronization

/// Messages with bounds, as frames in the stream (``MessageHeader``). Both ends must agree on using them.
extension StreamConnection {
    // MARK: Sending

    /// Sends a message if there is room for all of it.
    ///
    /// - Returns: false when there is not. What does not fit in half the ring, and over TCP everything, may block.
    @unsafe
    package func trySendMessage(_ message: UnsafeRawBufferPointer) throws(TransportError) -> Bool {
        try self.beginSending()
        defer { self.endSending() }
        guard let frame = try self.frame(message.count) else {
            try unsafe self.sendInPartsBlocking(message, until: nil)
            return true
        }
        return try unsafe self.put(message, frame)
    }

    /// Sends a message, blocking the thread.
    @unsafe
    package func sendMessageBlocking(
        _ message: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        guard let frame = try self.frame(message.count) else {
            return try unsafe self.sendInPartsBlocking(message, until: deadline)
        }
        while try unsafe !self.put(message, frame) { try self.blockForRoom(frame.frameByteCount, until: deadline) }
    }

    /// Sends a message.
    @unsafe
    nonisolated(nonsending) package func sendMessage(
        _ message: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        try self.beginSending()
        defer { self.endSending() }
        guard let frame = try self.frame(message.count) else {
            let head = unsafe self.head(message.count, and: message)
            var hasBegun = false
            do throws(TransportError) {
                try await unsafe self.sendAll(head.span.bytes.withUnsafeBytes { unsafe $0 }, until: deadline)
                hasBegun = true
                if self.element != nil { try await unsafe self.sendAll(message, until: deadline) }
                return
            } catch {
                throw self.sendingBroke(hasBegun, error)
            }
        }
        while try unsafe !self.put(message, frame) {
            try await self.waitForRoom(frame.frameByteCount, until: deadline)
        }
    }

    /// How a message lies in the ring; nil when it goes in parts.
    private func frame(_ count: Int) throws(TransportError) -> MessageHeader? {
        let limit = min(self.messageByteCountMax, Int(UInt32.max))
        guard count <= limit else { throw .tooLarge(count, limit: limit) }
        guard let element = self.element else { return nil }
        let header = MessageHeader(messageByteCount: count, at: element.sender.cursor)
        return header.frameByteCount <= self.pieceByteCountMax ? header : nil
    }

    /// Writes and publishes a whole frame; false when there is no room.
    @unsafe
    private func put(_ message: UnsafeRawBufferPointer, _ header: MessageHeader) throws(TransportError) -> Bool {
        let count = header.frameByteCount
        guard let element = self.element, let place = try unsafe element.reserve(atLeast: count, atMost: count) else {
            return false
        }
        // SAFETY: the place has `count` bytes, which are header, padding and message.
        unsafe place.storeBytes(of: header.raw, as: UInt64.self)
        if let source = message.baseAddress, let target = place.baseAddress {
            unsafe (target + (count - message.count)).copyMemory(from: source, byteCount: message.count)
        }
        element.commit(count)
        return true
    }

    /// A header in an array, over TCP with the message behind it.
    private func head(_ count: Int, and message: UnsafeRawBufferPointer) -> [UInt8] {
        var header = MessageHeader(messageByteCount: count, at: 0)
        header.paddingByteCount = 0
        var bytes = unsafe withUnsafeBytes(of: header.raw) { unsafe [UInt8]($0) }
        if self.element == nil { unsafe bytes.append(contentsOf: message) }
        return bytes
    }

    @unsafe
    private func sendInPartsBlocking(
        _ message: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant?
    ) throws(TransportError) {
        let head = unsafe self.head(message.count, and: message)
        var hasBegun = false
        do throws(TransportError) {
            try unsafe self.sendAllBlocking(head.span.bytes.withUnsafeBytes { unsafe $0 }, until: deadline)
            hasBegun = true
            if self.element != nil { try unsafe self.sendAllBlocking(message, until: deadline) }
        } catch {
            throw self.sendingBroke(hasBegun, error)
        }
    }

    /// A message of which only a part was sent can never be completed: the connection is of no more use.
    private func sendingBroke(_ hasBegun: Bool, _ error: TransportError) -> TransportError {
        if hasBegun || self.element == nil { self.abort() }
        return error
    }

    // MARK: Receiving

    /// Sees a message; it lasts until it returns.
    package typealias See = (UnsafeRawBufferPointer) -> Void

    /// Shows the next message if all of it has come.
    ///
    /// - Returns: nil when it has not; false at the end of the stream.
    @unsafe
    package func tryReceiveMessage(_ see: See) throws(TransportError) -> Bool? {
        try self.beginReceiving()
        defer { self.endReceiving() }
        switch try unsafe self.nextMessage(see) {
        case .taken: return true
        case .missing: return nil
        case .end: return false
        }
    }

    /// Shows the next message, blocking the thread, which is woken once.
    ///
    /// - Returns: false at the end of the stream.
    @unsafe
    package func receiveMessageBlocking(
        until deadline: ContinuousClock.Instant?, _ see: See
    ) throws(TransportError) -> Bool {
        try self.beginReceiving()
        defer { self.endReceiving() }
        while true {
            switch try unsafe self.nextMessage(see) {
            case .taken: return true
            case .missing(let count): try self.blockForBytes(count, until: deadline)
            case .end: return false
            }
        }
    }

    /// Shows the next message, suspending the task, which is woken once.
    ///
    /// - Returns: false at the end of the stream.
    @unsafe
    nonisolated(nonsending) package func receiveMessage(
        until deadline: ContinuousClock.Instant?, _ see: See
    ) async throws(TransportError) -> Bool {
        try self.beginReceiving()
        defer { self.endReceiving() }
        while true {
            switch try unsafe self.nextMessage(see) {
            case .taken: return true
            case .missing(let count): try await self.waitForBytes(count, until: deadline)
            case .end: return false
            }
        }
    }

    private enum Problem {
        case none
        case noHeader
        case tooLong(Int)
        /// It goes on beyond what can lie in one piece.
        case long(MessageHeader)
        case cut
    }

    private func nextMessage(_ see: See) throws(TransportError) -> Looked {
        if self.hasPartialMessage.load(ordering: .relaxed) { return try unsafe self.continuePartial(see) }
        var wanted = MessageHeader.byteCount
        while true {
            var problem = Problem.none
            var missing = 0
            let looked = try unsafe self.look(atLeast: wanted) { bytes in
                let (taken, total, found) = unsafe self.examine(bytes, see)
                (missing, problem) = (total, found)
                return taken
            }
            switch problem {
            case .none: break
            case .noHeader: throw self.brokenMessage("no message begins where one should")
            case .cut: throw self.brokenMessage("the stream ended inside of a message")
            case .tooLong(let count):
                throw self.brokenMessage("a message of \(count) bytes, where \(self.messageByteCountMax) are the most")
            case .long(let header):
                let bytes = [UInt8](repeating: 0, count: header.messageByteCount)
                let partial = PartialMessage(bytes: bytes, skip: header.paddingByteCount)
                self.partialMessage.withLock { $0 = partial }
                self.hasPartialMessage.store(true, ordering: .relaxed)
                return try unsafe self.continuePartial(see)
            }
            guard case .taken(0) = looked else { return looked }
            guard missing > wanted else { throw self.brokenMessage("the stream ended inside of a message") }
            wanted = missing
        }
    }

    /// Looks for a whole message at the front.
    ///
    /// - Returns: what of the bytes is done with; how many it takes.
    @unsafe
    private func examine(_ bytes: UnsafeRawBufferPointer, _ see: See) -> (taken: Int, total: Int, Problem) {
        guard bytes.count >= MessageHeader.byteCount else { return (0, 0, .cut) }
        // Read once: the peer may change it under us.
        guard let header = MessageHeader(unsafe bytes.loadUnaligned(as: UInt64.self)) else { return (0, 0, .noHeader) }
        guard header.messageByteCount <= self.messageByteCountMax else {
            return (0, 0, .tooLong(header.messageByteCount))
        }
        let total = header.frameByteCount
        if total <= bytes.count {
            let front = MessageHeader.byteCount + header.paddingByteCount
            // SAFETY: the message ends within the bytes, as was just checked.
            unsafe see(UnsafeRawBufferPointer(rebasing: bytes[front..<total]))
            return (total, total, .none)
        }
        guard total <= self.incomingPieceByteCountMax else { return (MessageHeader.byteCount, total, .long(header)) }
        return (0, total, .none)
    }

    private func continuePartial(_ see: See) throws(TransportError) -> Looked {
        guard var partial = self.partialMessage.withLock({ $0.take() }) else { return .missing(1) }
        defer {
            if partial.count < partial.bytes.count {
                self.partialMessage.withLock { [partial] in $0 = partial }
            } else {
                self.hasPartialMessage.store(false, ordering: .relaxed)
            }
        }
        while partial.skip > 0 {
            let skip = partial.skip
            switch try unsafe self.look(atLeast: 1, { min($0.count, skip) }) {
            case .taken(let count): partial.skip -= count
            case .missing: return .missing(1)
            case .end: throw self.brokenMessage("the stream ended inside of a message")
            }
        }
        while partial.count < partial.bytes.count {
            let count = partial.count
            // SAFETY: the array is ours, and any bytes are valid in it.
            let result = try unsafe Self.filling(&partial.bytes, from: count) { buffer throws(TransportError) in
                try unsafe self.load(into: buffer)
            }
            switch result {
            case .bytes(let count): partial.count += count
            case .wouldBlock: return .missing(1)
            case .end: throw self.brokenMessage("the stream ended inside of a message")
            }
        }
        unsafe partial.bytes.withUnsafeBytes { unsafe see($0) }
        return .taken(partial.count)
    }

    private static func filling(
        _ bytes: inout [UInt8], from count: Int,
        _ body: (UnsafeMutableRawBufferPointer) throws(TransportError) -> ReceiveResult
    ) throws(TransportError) -> ReceiveResult {
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        let whole = unsafe raw.withUnsafeMutableBytes { unsafe $0 }
        return try unsafe body(UnsafeMutableRawBufferPointer(rebasing: whole[count...]))
    }

    private func brokenMessage(_ what: String) -> TransportError {
        self.abort()
        return .protocolViolation(what)
    }
}
