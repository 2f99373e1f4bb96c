import SMCSystem
import SMCTransport
import Synchronization
import Testing

/// One at a time, and nobody waits for longer than it wants to.
@Suite(.timeLimit(.minutes(1))) struct AsyncGateTests {
    private final class Inside: Sendable {
        let count = Atomic<Int>(0)
    }

    @Test func oneAtATime() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let gate = AsyncGate(loop: loop)
        let inside = Inside()
        let deadline = ContinuousClock.now.advanced(by: .seconds(50))
        let all = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await gate.alone(until: deadline) {
                        #expect(inside.count.add(1, ordering: .relaxed).newValue == 1)
                        await Task.yield()
                        inside.count.subtract(1, ordering: .relaxed)
                        return true
                    } ?? false
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(!all.contains(false))
        #expect(gate.isIdle)
    }

    @Test func whoWaitsHasADeadlineAndMayBeCancelled() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let gate = AsyncGate(loop: loop)
        let far = ContinuousClock.now.advanced(by: .seconds(50))
        let isOver = await gate.alone(until: far) {
            let late = await gate.alone(until: .now.advanced(by: .milliseconds(20))) { true }
            #expect(late == nil)
            let cancelled = Task { await gate.alone(until: far) { true } }
            try? await Task.sleep(for: .milliseconds(20))
            cancelled.cancel()
            #expect(await cancelled.value == nil)
            return true
        }
        #expect(isOver == true)
        #expect(await gate.alone(until: far) { true } == true, "it is open again")
    }
}
