internal import Synchronization

/// A place where one task or thread at a time waits for a condition that others make true.
///
/// The waiter takes a ``ticket()``, looks at the condition, and waits only while no ``wake()`` came since the ticket:
/// so no wake-up is lost between looking and sleeping.
package final class WaitPoint: Sendable {
    package typealias Ticket = UInt32

    private struct Waiter {
        var continuation: CheckedContinuation<Bool, Never>
        var loop: EventLoop
        var timer: EventLoop.Key?

        func resume(returning result: Bool) {
            if let timer = self.timer { self.loop.cancel(timer) }
            self.continuation.resume(returning: result)
        }
    }

    // The generation: each wake adds one. Threads sleep on it directly.
    private let generation = FutexWord()
    private let sleepingThreads = Atomic<UInt32>(0)
    private let waiters = Mutex<[UInt64: Waiter]>([:])
    private let nextWaiter = Atomic<UInt64>(1)

    package init() {}

    /// What ``wait(since:until:on:)`` is told, taken before looking at the condition.
    package func ticket() -> Ticket {
        self.generation.value
    }

    /// Lets all waiters go on and look again.
    package func wake() {
        self.generation.add(1)
        if self.sleepingThreads.load(ordering: .sequentiallyConsistent) > 0 { self.generation.wake(.max) }
        let waiting = self.waiters.withLock { waiters in
            guard !waiters.isEmpty else { return [Waiter]() }
            let all = Array(waiters.values)
            waiters.removeAll()
            return all
        }
        for waiter in waiting { waiter.resume(returning: true) }
    }

    /// Blocks the thread until ``wake()`` was called after the ticket was taken, or the deadline passed.
    ///
    /// - Returns: false when the deadline passed.
    package func block(since ticket: Ticket, until deadline: ContinuousClock.Instant?) -> Bool {
        _ = self.sleepingThreads.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { _ = self.sleepingThreads.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
        while self.generation.value == ticket {
            var timeout: Duration?
            if let deadline {
                let remaining = ContinuousClock.now.duration(to: deadline)
                guard remaining > .zero else { return false }
                timeout = remaining
            }
            self.generation.wait(whileEqual: ticket, timeout: timeout)
        }
        return true
    }

    /// Suspends the task until ``wake()`` was called after the ticket was taken, the deadline passed, or the task was
    /// cancelled.
    ///
    /// - Parameter loop: runs the timer of the deadline.
    /// - Returns: false when the deadline passed, or the loop that should have told so has ended.
    package func wait(
        since ticket: Ticket, until deadline: ContinuousClock.Instant?, on loop: EventLoop
    ) async -> Bool {
        let identifier = self.nextWaiter.wrappingAdd(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.waiters.withLock { waiters in
                    waiters[identifier] = Waiter(continuation: continuation, loop: loop, timer: nil)
                }
                // Looked at after enlisting: a wake before this is seen here, one after it finds the waiter.
                if self.generation.value != ticket || Task.isCancelled {
                    self.finish(identifier, returning: true)
                } else if let deadline {
                    let delay = ContinuousClock.now.duration(to: deadline)
                    let timer = loop.schedule(after: delay) { [weak self] in
                        self?.finish(identifier, returning: false)
                    }
                    guard let timer else { return self.finish(identifier, returning: false) }
                    let isGone = self.waiters.withLock { waiters in
                        waiters[identifier]?.timer = timer
                        return waiters[identifier] == nil
                    }
                    if isGone { loop.cancel(timer) }
                }
            }
        } onCancel: {
            self.finish(identifier, returning: true)
        }
    }

    private func finish(_ identifier: UInt64, returning result: Bool) {
        let waiter = self.waiters.withLock { $0.removeValue(forKey: identifier) }
        waiter?.resume(returning: result)
    }
}
