internal import CSMCShims
internal import Glibc
internal import Synchronization

/// Threads of the operating system, for work that blocks or waits in the kernel.
package enum SystemThread {
    /// Starts a detached thread.
    ///
    /// - Parameter name: shown by tools, which keep 15 bytes of it.
    package static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        final class Box {
            let name: String
            let body: @Sendable () -> Void
            init(name: String, body: @escaping @Sendable () -> Void) {
                self.name = name
                self.body = body
            }
        }
        var attributes = pthread_attr_t()
        // SAFETY: the attributes are ours, initialised before use and destroyed after it. The box is retained for
        // the thread and released by it exactly once.
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(Box(name: name, body: body)).toOpaque()
        let code = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                let box = unsafe Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue()
                unsafe csmc_name_this_thread(box.name)
                box.body()
                return nil
            }, argument)
        unsafe pthread_attr_destroy(&attributes)
        precondition(code == 0, "the system has no thread left for '\(name)' (errno \(code))")
    }
}

/// One thread that runs blocking work in order, so that it never runs on Swift's cooperative threads.
package final class Worker: Sendable {
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let wakeups: Semaphore

    package init(name: String) {
        let wakeups = Semaphore()
        self.wakeups = wakeups
        SystemThread.start(name: name) { [weak self] in
            while true {
                wakeups.wait()
                guard let worker = self else { return }
                worker.runOne()
            }
        }
    }

    deinit {
        self.wakeups.post()
    }

    /// Runs `body` on the thread and waits for its result without blocking the caller's thread.
    package func run<Success: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Success
    ) async throws(Failure) -> Success {
        let result: Result<Success, Failure> = await withCheckedContinuation { continuation in
            self.enqueue {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Runs `body` on the thread some time later.
    package func enqueue(_ body: @escaping @Sendable () -> Void) {
        self.jobs.withLock { $0.append(body) }
        self.wakeups.post()
    }

    private func runOne() {
        let job = self.jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        job?()
    }
}

/// A counting semaphore on a futex.
package final class Semaphore: Sendable {
    private let word = FutexWord()

    package init() {}

    package func post() {
        self.word.add(1)
        self.word.wake(1)
    }

    package func wait() {
        while !self.word.takeOne() {
            self.word.wait(whileEqual: 0, timeout: nil)
        }
    }
}
