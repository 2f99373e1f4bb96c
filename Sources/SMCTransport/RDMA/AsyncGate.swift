package import SMCSystem
internal import Synchronization

/// Lets one task at a time through.
package final class AsyncGate: Sendable {
    private let isTaken = Atomic<Bool>(false)
    private let opened = WaitPoint()
    private let loop: EventLoop

    /// - Parameter loop: runs the timers of deadlines.
    package init(loop: EventLoop) {
        self.loop = loop
    }

    /// Runs `body` alone.
    ///
    /// - Returns: nil when the deadline passed, or the task was cancelled, before others let us in.
    package func alone<Success, Failure: Error>(
        until deadline: ContinuousClock.Instant, _ body: () async throws(Failure) -> Success
    ) async throws(Failure) -> Success? {
        guard await self.enter(until: deadline) else { return nil }
        defer { self.leave() }
        return try await body()
    }

    /// Nobody is inside.
    package var isIdle: Bool { !self.isTaken.load(ordering: .relaxed) }

    private func enter(until deadline: ContinuousClock.Instant) async -> Bool {
        while true {
            let ticket = self.opened.ticket()
            if !self.isTaken.exchange(true, ordering: .acquiringAndReleasing) { return true }
            let isInTime = await self.opened.wait(since: ticket, until: deadline, on: self.loop)
            guard isInTime, !Task.isCancelled else { return false }
        }
    }

    private func leave() {
        self.isTaken.store(false, ordering: .releasing)
        self.opened.wake()
    }
}
