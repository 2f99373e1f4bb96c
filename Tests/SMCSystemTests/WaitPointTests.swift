import SMCSystem
import Synchronization
import Testing

/// Tickets, deadlines, cancellation; and that no wake-up is lost.
struct WaitPointTests {
    private static let never: ContinuousClock.Instant? = nil

    @Test func aWakeAfterTheTicketEndsTheWait() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let point = WaitPoint()
        let ticket = point.ticket()
        point.wake()
        #expect(point.block(since: ticket, until: Self.never))
        #expect(await point.wait(since: ticket, until: Self.never, on: loop))
        // A new ticket needs a new wake.
        #expect(!point.block(since: point.ticket(), until: .now.advanced(by: .milliseconds(5))))
        #expect(await point.wait(since: point.ticket(), until: .now.advanced(by: .milliseconds(5)), on: loop) == false)
    }

    @Test func deadlinesAreKept() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let point = WaitPoint()
        for isBlocking in [true, false] {
            for milliseconds in [-10, 0, 30] {
                let start = ContinuousClock.now
                let deadline = start.advanced(by: .milliseconds(milliseconds))
                let isInTime =
                    isBlocking
                    ? point.block(since: point.ticket(), until: deadline)
                    : await point.wait(since: point.ticket(), until: deadline, on: loop)
                #expect(!isInTime)
                #expect(ContinuousClock.now >= deadline)
            }
        }
    }

    @Test func aCancelledTaskDoesNotWait() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let point = WaitPoint()
        let before = Task {
            while !Task.isCancelled { await Task.yield() }
            return await point.wait(since: point.ticket(), until: nil, on: loop)
        }
        before.cancel()
        #expect(await before.value)
        let during = Task { await point.wait(since: point.ticket(), until: nil, on: loop) }
        try await Task.sleep(for: .milliseconds(20))
        during.cancel()
        #expect(await during.value)
    }

    @Test func allWaitersGoOn() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let point = WaitPoint()
        let ticket = point.ticket()
        let threads = (0..<3).map { Worker(name: "waiter \($0)") }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 { group.addTask { await point.wait(since: ticket, until: nil, on: loop) } }
            for thread in threads { group.addTask { await thread.run { point.block(since: ticket, until: nil) } } }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(20))
                point.wake()
                return true
            }
            for await isWoken in group { #expect(isWoken) }
        }
    }

    /// Two sides take turns; each waits for the other with every kind of wait. A lost wake-up stops the game.
    @Test(arguments: [true, false], [true, false]) func noWakeUpIsLost(isFirstBlocking: Bool, isSecondBlocking: Bool)
        async throws
    {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let game = Game(loop: loop)
        let rounds = 20_000
        async let first = game.play(parity: 0, rounds: rounds, isBlocking: isFirstBlocking)
        async let second = game.play(parity: 1, rounds: rounds, isBlocking: isSecondBlocking)
        let results = await (first, second)
        #expect(results.0 && results.1, "a wake-up was lost in turn \(game.turn.load(ordering: .relaxed))")
        #expect(game.turn.load(ordering: .relaxed) == 2 * rounds)
    }

    /// Deadlines that end at about the time of the wakes.
    @Test func deadlinesAndWakesAtTheSameTime() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let point = WaitPoint()
        var (woken, late) = (0, 0)
        for round in 0..<300 {
            let ticket = point.ticket()
            let start = ContinuousClock.now
            async let result = point.wait(since: ticket, until: start.advanced(by: .milliseconds(1)), on: loop)
            while ContinuousClock.now < start.advanced(by: .microseconds(900 + round * 5)) { await Task.yield() }
            point.wake()
            if await result { woken += 1 } else { late += 1 }
        }
        #expect(woken + late == 300)
        // All that was left behind is gone: nobody waits, and a wake finds nobody.
        #expect(point.block(since: point.ticket() &- 1, until: nil))
    }
}

private final class Game: Sendable {
    let turn = Atomic<Int>(0)
    private let loop: EventLoop
    private let points = [WaitPoint(), WaitPoint()]
    private let threads = [Worker(name: "first"), Worker(name: "second")]

    init(loop: EventLoop) {
        self.loop = loop
    }

    func play(parity: Int, rounds: Int, isBlocking: Bool) async -> Bool {
        if isBlocking {
            return await self.threads[parity].run { self.playBlocking(parity: parity, rounds: rounds) }
        }
        let limit = ContinuousClock.now.advanced(by: .seconds(60))
        for _ in 0..<rounds {
            while true {
                let ticket = self.points[parity].ticket()
                if self.take(parity) { break }
                guard await self.points[parity].wait(since: ticket, until: limit, on: self.loop) else { return false }
            }
        }
        return true
    }

    private func playBlocking(parity: Int, rounds: Int) -> Bool {
        let limit = ContinuousClock.now.advanced(by: .seconds(60))
        for _ in 0..<rounds {
            while true {
                let ticket = self.points[parity].ticket()
                if self.take(parity) { break }
                guard self.points[parity].block(since: ticket, until: limit) else { return false }
            }
        }
        return true
    }

    private func take(_ parity: Int) -> Bool {
        guard self.turn.load(ordering: .acquiring) % 2 == parity else { return false }
        self.turn.add(1, ordering: .acquiringAndReleasing)
        self.points[1 - parity].wake()
        return true
    }
}
