internal import HeapModule
internal import Synchronization

/// One thread that watches descriptors and runs timers. All methods may be called from any thread; handlers and timers
/// run on the loop's thread, one at a time, and must not block.
package final class EventLoop: Sendable {
    package typealias Handler = @Sendable (Poller.Events) -> Void
    package typealias Job = @Sendable () -> Void

    /// Names a registration or a timer.
    package struct Key: Hashable, Sendable {
        fileprivate let value: UInt64
    }

    private struct Watched {
        var descriptor: Int32
        var handler: Handler
    }

    private struct Timer: Comparable {
        var deadline: ContinuousClock.Instant
        var key: UInt64

        static func < (left: Timer, right: Timer) -> Bool {
            (left.deadline, left.key) < (right.deadline, right.key)
        }
    }

    private struct State {
        var nextKey: UInt64 = 1
        var watched: [UInt64: Watched] = [:]
        var timers = Heap<Timer>()
        var timerJobs: [UInt64: Job] = [:]
        var jobs: [Job] = []
        var isStopped = false
        /// The thread takes nothing any more.
        var hasEnded = false
    }

    private static let wakeKey: UInt64 = 0
    private let poller: Poller
    private let wakeEvent: EventDescriptor
    private let state = Mutex(State())

    /// Starts the thread, which runs until ``stop()``.
    package init(name: String) throws(SystemCallError) {
        self.poller = try Poller()
        self.wakeEvent = try EventDescriptor()
        try self.poller.add(self.wakeEvent.descriptor.rawValue, for: .readable, key: Self.wakeKey)
        SystemThread.start(name: name) { self.run() }
    }

    /// Ends the thread soon. Jobs and timers that have not run do so now, before their time, so that nobody waits for
    /// them in vain; what comes later is dropped.
    package func stop() {
        self.state.withLock { $0.isStopped = true }
        self.wakeEvent.signal()
    }

    // MARK: Descriptors

    /// Watches `descriptor`, which must stay open until ``remove(_:)``. Level-triggered: the handler must take what is
    /// there or stop watching for it.
    package func add(
        _ descriptor: Int32, for events: Poller.Events, _ handler: @escaping Handler
    ) throws(SystemCallError) -> Key {
        let key = self.state.withLock { state in
            let key = state.nextKey
            state.nextKey += 1
            state.watched[key] = Watched(descriptor: descriptor, handler: handler)
            return key
        }
        do throws(SystemCallError) {
            try self.poller.add(descriptor, for: events, key: key)
        } catch {
            self.state.withLock { _ = $0.watched.removeValue(forKey: key) }
            throw error
        }
        return Key(value: key)
    }

    /// Changes what a registration waits for.
    package func modify(_ key: Key, for events: Poller.Events) {
        self.state.withLock { state in
            guard let watched = state.watched[key.value] else { return }
            // Fails only for a descriptor that was closed under us, which then has nothing to tell.
            try? self.poller.modify(watched.descriptor, for: events, key: key.value)
        }
    }

    /// Stops watching. A handler that is running now may still finish after this.
    package func remove(_ key: Key) {
        // Taken out of the lock: what the handler holds may use this loop when it goes.
        _ = self.state.withLock { state -> Watched? in
            guard let watched = state.watched.removeValue(forKey: key.value) else { return nil }
            try? self.poller.remove(watched.descriptor)
            return watched
        }
    }

    // MARK: Jobs and timers

    /// Runs `job` on the loop's thread soon.
    package func execute(_ job: @escaping Job) {
        self.state.withLock { if !$0.hasEnded { $0.jobs.append(job) } }
        self.wakeEvent.signal()
    }

    /// Runs `job` on the loop's thread after `delay`, unless it is cancelled before.
    ///
    /// - Returns: nil when the loop has ended, so that the job will never run.
    @discardableResult
    package func schedule(after delay: Duration, _ job: @escaping Job) -> Key? {
        let deadline = ContinuousClock.now.advanced(by: delay)
        let (key, isNext) = self.state.withLock { state -> (UInt64?, Bool) in
            guard !state.hasEnded else { return (nil, false) }
            let key = state.nextKey
            state.nextKey += 1
            state.timers.insert(Timer(deadline: deadline, key: key))
            state.timerJobs[key] = job
            return (key, state.timers.min?.key == key)
        }
        if isNext { self.wakeEvent.signal() }
        return key.map { Key(value: $0) }
    }

    /// Suspends the caller for a while, also when its task is cancelled: for those who clean up.
    ///
    /// - Returns: false, at once, when the loop has ended.
    package func pause(for delay: Duration) async -> Bool {
        await withCheckedContinuation { continuation in
            let key = self.schedule(after: delay) { continuation.resume(returning: true) }
            if key == nil { continuation.resume(returning: false) }
        }
    }

    /// Drops a timer that has not run.
    package func cancel(_ key: Key) {
        // Taken out of the lock: what the job holds may use this loop when it goes.
        _ = self.state.withLock { $0.timerJobs.removeValue(forKey: key.value) }
    }

    // MARK: The thread

    private func run() {
        var occurrences: [Poller.Occurrence] = []
        while !self.state.withLock({ $0.isStopped }) {
            do throws(SystemCallError) {
                try self.poller.wait(timeoutMilliseconds: self.millisecondsToNextTimer(), into: &occurrences)
            } catch {
                preconditionFailure("epoll_wait on our own descriptor failed: \(error)")
            }
            for occurrence in occurrences { self.handle(occurrence) }
            for job in self.takeDueJobs() { job() }
        }
        self.end()
    }

    private func end() {
        // What was registered goes outside of the lock: it may use this loop when it goes.
        let (jobs, watched) = self.state.withLock { state in
            state.hasEnded = true
            defer {
                state.watched.removeAll()
                state.timers = Heap()
                state.timerJobs.removeAll()
                state.jobs.removeAll()
            }
            let timers = state.timerJobs.sorted { $0.key < $1.key }.map(\.value)
            return (state.jobs + timers, state.watched)
        }
        for job in jobs { job() }
        _ = consume watched
    }

    private func handle(_ occurrence: Poller.Occurrence) {
        guard occurrence.key != Self.wakeKey else {
            self.wakeEvent.clear()
            return
        }
        let handler = self.state.withLock { $0.watched[occurrence.key]?.handler }
        handler?(occurrence.events)
    }

    private func millisecondsToNextTimer() -> Int32 {
        self.state.withLock { state in
            if !state.jobs.isEmpty || state.isStopped { return 0 }
            while let next = state.timers.min {
                guard state.timerJobs[next.key] != nil else {
                    state.timers.removeMin()
                    continue
                }
                let remaining = ContinuousClock.now.duration(to: next.deadline)
                let (seconds, attoseconds) = remaining.components
                guard seconds >= 0, attoseconds >= 0 else { return 0 }
                return Int32(clamping: min(seconds, 1_000_000) * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
            }
            return -1
        }
    }

    private func takeDueJobs() -> [Job] {
        let now = ContinuousClock.now
        return self.state.withLock { state in
            var due = state.jobs
            state.jobs.removeAll(keepingCapacity: true)
            while let next = state.timers.min, next.deadline <= now {
                state.timers.removeMin()
                if let job = state.timerJobs.removeValue(forKey: next.key) { due.append(job) }
            }
            return due
        }
    }
}
