internal import Synchronization

/// Lets one task at a time through; the others wait in order.
package final class AsyncGate: Sendable {
    private struct State {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    package init() {}

    /// Runs `body` alone. Whoever is inside has deadlines of its own, so that this wait ends.
    package func alone<Success, Failure: Error>(
        _ body: () async throws(Failure) -> Success
    ) async throws(Failure) -> Success {
        await self.enter()
        defer { self.leave() }
        return try await body()
    }

    /// Nobody is inside.
    var isIdle: Bool { self.state.withLock { !$0.isTaken } }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let isMine = self.state.withLock { state in
                if state.isTaken {
                    state.waiting.append(continuation)
                    return false
                }
                state.isTaken = true
                return true
            }
            if isMine { continuation.resume() }
        }
    }

    private func leave() {
        let next = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiting.isEmpty else {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
