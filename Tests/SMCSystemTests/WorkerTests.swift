import SMCSystem
import Synchronization
import Testing

struct WorkerTests {
    @Test func jobsRunInOrderOnOneThread() async {
        let worker = Worker(name: "test")
        let order = Mutex<[Int]>([])
        for number in 0..<100 { worker.enqueue { order.withLock { $0.append(number) } } }
        let last = await worker.run { order.withLock { $0.count } }
        #expect(last == 100)
        #expect(order.withLock { $0 } == Array(0..<100))
    }

    @Test func errorsComeBack() async {
        struct Failure: Error, Equatable { var number: Int }
        let worker = Worker(name: "test")
        await #expect(throws: Failure(number: 7)) {
            try await worker.run { () throws(Failure) -> Int in throw Failure(number: 7) }
        }
        #expect(await worker.run { 5 } == 5, "and the thread goes on")
    }

    @Test func manyTasksShareAThread() async {
        let worker = Worker(name: "test")
        let sum = await withTaskGroup(of: Int.self) { group in
            for number in 0..<200 { group.addTask { await worker.run { number } } }
            return await group.reduce(0, +)
        }
        #expect(sum == 199 * 200 / 2)
    }

    /// The thread ends with its worker: nothing that was enqueued is kept.
    @Test func whatIsEnqueuedIsLetGo() async throws {
        final class Token: Sendable {}
        weak var left: Token?
        do {
            let token = Token()
            left = token
            let worker = Worker(name: "test")
            worker.enqueue { withExtendedLifetime(token) {} }
        }
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while left != nil, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(1)) }
        #expect(left == nil)
    }

    @Test func aSemaphoreCounts() async {
        let semaphore = Semaphore()
        let worker = Worker(name: "test")
        let taken = Atomic<Int>(0)
        async let all: Void = worker.run {
            for _ in 0..<1000 {
                semaphore.wait()
                taken.add(1, ordering: .relaxed)
            }
        }
        for _ in 0..<1000 { semaphore.post() }
        await all
        #expect(taken.load(ordering: .relaxed) == 1000)
    }
}
