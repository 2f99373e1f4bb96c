internal import Synchronization

/// Bytes of a TCP connection that were brought to be looked at in one piece, and have not been taken.
///
/// One receiver at a time uses it; the lock is for what the compiler cannot know.
final class Inbox: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        /// Bytes at the front that were taken.
        var taken = 0
    }
    private let state = Mutex(State())

    /// Bytes that wait.
    var count: Int { self.state.withLock { $0.bytes.count - $0.taken } }

    /// Adds what came.
    func append(_ more: ArraySlice<UInt8>) {
        self.state.withLock { state in
            if state.taken > 0 {
                state.bytes.removeFirst(state.taken)
                state.taken = 0
            }
            state.bytes += more
        }
    }

    /// Runs `body` with all that waits; it says how much it took.
    func withBytes<Result>(_ body: (ArraySlice<UInt8>) -> (result: Result, taken: Int)) -> Result {
        // Taken out of the lock for the time of `body`, which is the user's.
        let (bytes, front) = self.state.withLock { state in
            defer { state.bytes = [] }
            return (state.bytes, state.taken)
        }
        let (result, taken) = body(bytes[front...])
        self.state.withLock { state in
            state.bytes = bytes
            state.taken = front + taken
        }
        return result
    }

    /// Copies what waits and fits; nil when nothing does.
    @unsafe
    func take(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard self.count > 0 else { return nil }
        return self.withBytes { waiting in
            let count = min(waiting.count, buffer.count)
            // SAFETY: the buffer has room for `count` bytes.
            unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).copyBytes(from: waiting.prefix(count))
            return (count, count)
        }
    }
}
