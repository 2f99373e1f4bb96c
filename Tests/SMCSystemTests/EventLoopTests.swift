import SMCSystem
import Synchronization
import Testing

/// Timers, registrations and the end of the loop's thread.
struct EventLoopTests {
    @Test func aCancelledTaskCanPause() async throws {
        let loop = try EventLoop(name: "test")
        let start = ContinuousClock.now
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await loop.pause(for: .milliseconds(20))
        }
        task.cancel()
        #expect(await task.value)
        #expect(ContinuousClock.now - start >= .milliseconds(20))
        loop.stop()
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while await loop.pause(for: .milliseconds(1)), ContinuousClock.now < limit {}
        #expect(await loop.pause(for: .seconds(100)) == false)
    }

    private static func wait(_ point: WaitPoint, _ isTrue: () -> Bool) -> Bool {
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while true {
            let ticket = point.ticket()
            if isTrue() { return true }
            guard point.block(since: ticket, until: limit) else { return false }
        }
    }

    @Test func timersRunInTheOrderOfTheirTimes() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let order = Mutex<[Int]>([])
        let point = WaitPoint()
        // On the loop's thread: none runs before all are there.
        loop.execute {
            for delay in [400, 100, 300, 200, 0] {
                loop.schedule(after: .milliseconds(delay)) {
                    order.withLock { $0.append(delay) }
                    point.wake()
                }
            }
        }
        #expect(Self.wait(point) { order.withLock { $0.count } == 5 })
        #expect(order.withLock { $0 } == [0, 100, 200, 300, 400])
    }

    @Test func timersAreNotEarly() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let start = ContinuousClock.now
        let end = Mutex<ContinuousClock.Instant?>(nil)
        let point = WaitPoint()
        loop.schedule(after: .milliseconds(30)) {
            end.withLock { $0 = .now }
            point.wake()
        }
        #expect(Self.wait(point) { end.withLock { $0 } != nil })
        let elapsed = try #require(end.withLock { $0 }) - start
        #expect(elapsed >= .milliseconds(30))
    }

    @Test func aCancelledTimerDoesNotRun() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let ran = Mutex<[String]>([])
        let point = WaitPoint()
        let doomed = try #require(loop.schedule(after: .milliseconds(10)) { ran.withLock { $0.append("doomed") } })
        loop.schedule(after: .milliseconds(30)) {
            ran.withLock { $0.append("kept") }
            point.wake()
        }
        loop.cancel(doomed)
        loop.cancel(doomed)
        #expect(Self.wait(point) { ran.withLock { !$0.isEmpty } })
        #expect(ran.withLock { $0 } == ["kept"])
    }

    @Test func jobsRunOnOneThreadInOrder() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let seen = Mutex<[Int]>([])
        let point = WaitPoint()
        for number in 0..<100 {
            loop.execute {
                seen.withLock { $0.append(number) }
                point.wake()
            }
        }
        #expect(Self.wait(point) { seen.withLock { $0.count } == 100 })
        #expect(seen.withLock { $0 } == Array(0..<100))
    }

    @Test func readinessIsReportedUntilItIsTaken() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let event = Event(try EventDescriptor())
        let count = Mutex(0)
        let point = WaitPoint()
        let key = try loop.add(event.number, for: .readable) { events in
            #expect(events.contains(.readable))
            let isLast = count.withLock { count in
                count += 1
                return count == 3
            }
            if isLast { event.descriptor.clear() }
            point.wake()
        }
        event.descriptor.signal()
        #expect(Self.wait(point) { count.withLock { $0 } == 3 })
        // Nobody watches for reading any more, then again.
        loop.modify(key, for: [])
        event.descriptor.signal()
        #expect(!point.block(since: point.ticket(), until: .now.advanced(by: .milliseconds(50))))
        loop.modify(key, for: .readable)
        #expect(Self.wait(point) { count.withLock { $0 } > 3 })
        loop.remove(key)
    }

    /// A handler that removes another registration, whose event came in the same round, and itself.
    @Test func aHandlerMayRemoveRegistrations() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let events = [Event(try EventDescriptor()), Event(try EventDescriptor())]
        let keys = Mutex<[EventLoop.Key]>([])
        let calls = Mutex(0)
        let point = WaitPoint()
        // Both become ready before the loop looks: it is busy with this job until then.
        let gate = Semaphore()
        loop.execute { gate.wait() }
        for event in events {
            let key = try loop.add(event.number, for: .readable) { _ in
                calls.withLock { $0 += 1 }
                for key in keys.withLock({ $0 }) { loop.remove(key) }
                point.wake()
            }
            keys.withLock { $0.append(key) }
        }
        for event in events { event.descriptor.signal() }
        gate.post()
        #expect(Self.wait(point) { calls.withLock { $0 } == 1 })
        #expect(!point.block(since: point.ticket(), until: .now.advanced(by: .milliseconds(50))))
        #expect(calls.withLock { $0 } == 1)
    }

    @Test func aDescriptorThatCannotBeWatchedIsRefused() throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        #expect(throws: SystemCallError.self) { _ = try loop.add(-1, for: .readable) { _ in } }
    }

    // MARK: The end

    @Test func whatWaitsForItsTimeRunsWhenTheLoopEnds() throws {
        let loop = try EventLoop(name: "test")
        let ran = Mutex(false)
        let point = WaitPoint()
        loop.schedule(after: .seconds(3600)) {
            ran.withLock { $0 = true }
            point.wake()
        }
        loop.stop()
        #expect(Self.wait(point) { ran.withLock { $0 } })
        #expect(Self.hasEnded(loop))
    }

    /// What a timer holds may use the loop when it goes.
    @Test func theLoopLetsGoOutsideOfItsLock() throws {
        let loop = try EventLoop(name: "test")
        let isGone = Mutex(false)
        let point = WaitPoint()
        final class Holder: Sendable {
            let loop: EventLoop
            let onEnd: @Sendable () -> Void
            init(_ loop: EventLoop, _ onEnd: @escaping @Sendable () -> Void) {
                self.loop = loop
                self.onEnd = onEnd
            }
            deinit {
                self.loop.execute {}
                self.onEnd()
            }
        }
        func hold() -> EventLoop.Key? {
            let holder = Holder(loop) {
                isGone.withLock { $0 = true }
                point.wake()
            }
            return loop.schedule(after: .seconds(3600)) { withExtendedLifetime(holder) {} }
        }
        loop.cancel(try #require(hold()))
        #expect(isGone.withLock { $0 })
        isGone.withLock { $0 = false }
        _ = hold()
        loop.stop()
        #expect(Self.wait(point) { isGone.withLock { $0 } })
        #expect(Self.hasEnded(loop))
        _ = hold()
        #expect(isGone.withLock { $0 }, "a loop that has ended keeps nothing")
    }

    @Test func nobodyWaitsForALoopThatHasEnded() async throws {
        let loop = try EventLoop(name: "test")
        let point = WaitPoint()
        async let early = point.wait(since: point.ticket(), until: .now.advanced(by: .seconds(3600)), on: loop)
        loop.stop()
        #expect(await early == false)
        #expect(Self.hasEnded(loop))
        let late = await point.wait(since: point.ticket(), until: .now.advanced(by: .seconds(3600)), on: loop)
        #expect(!late)
    }

    private static func hasEnded(_ loop: EventLoop) -> Bool {
        let limit = ContinuousClock.now.advanced(by: .seconds(10))
        while loop.schedule(after: .zero, {}) != nil {
            guard ContinuousClock.now < limit else { return false }
            Processor.yield()
        }
        return true
    }
}

/// An event descriptor that closures can share.
final class Event: Sendable {
    let descriptor: EventDescriptor
    var number: Int32 { self.descriptor.descriptor.rawValue }

    init(_ descriptor: consuming EventDescriptor) {
        self.descriptor = descriptor
    }
}
