import Foundation

/// The thread that all scenes play on. Other tests of the same process may compute for long on the threads that Swift
/// gives to tasks; a scene that has to measure a second must not stand behind them.
final class SceneThread: TaskExecutor, @unchecked Sendable {
    // Sendable: everything is only touched under the condition's lock.
    static let shared = SceneThread()

    private let condition = NSCondition()
    private var jobs: [UnownedJob] = []
    private var sleepers: [(wakeUp: Date, continuation: CheckedContinuation<Void, Never>)] = []

    private init() {
        Thread.detachNewThread { self.run() }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.condition.withLock {
            self.jobs.append(job)
            self.condition.signal()
        }
    }

    /// Like `Task.sleep`, which would wait for a free thread of the others.
    func sleep(milliseconds: Int) async throws {
        let wakeUp = Date(timeIntervalSinceNow: Double(milliseconds) / 1000)
        await withCheckedContinuation { continuation in
            self.condition.withLock {
                self.sleepers.append((wakeUp, continuation))
                self.condition.signal()
            }
        }
        try Task.checkCancellation()
    }

    private func run() {
        while true {
            let (jobs, woken) = self.next()
            for sleeper in woken { sleeper.resume() }
            for job in jobs { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
        }
    }

    private func next() -> ([UnownedJob], [CheckedContinuation<Void, Never>]) {
        self.condition.withLock {
            while true {
                let now = Date()
                let woken = self.sleepers.filter { $0.wakeUp <= now }.map(\.continuation)
                self.sleepers.removeAll { $0.wakeUp <= now }
                if !self.jobs.isEmpty || !woken.isEmpty {
                    defer { self.jobs = [] }
                    return (self.jobs, woken)
                }
                // Foundation traps on a date too far away.
                let nextWakeUp = self.sleepers.map(\.wakeUp).min() ?? now.addingTimeInterval(60)
                _ = self.condition.wait(until: nextWakeUp)
            }
        }
    }
}
