import Glibc
import SMCMemory
import SMCSystem
import SMCTesting
import Synchronization
import Testing

/// The word that carries a cursor and "I sleep" at once: no wake-up is lost, and none is sent to who is awake.
struct SleepingTests {
    private static let ring = 16_384

    private static func make() throws -> BufferElement {
        BufferElement(sharedMemory: try TestElement.map(ringByteCount: self.ring), ringByteCount: self.ring)
    }

    @Test func theFlagIsTakenExactlyOnce() throws {
        let element = try Self.make()
        #expect(element.publishProducer(1).isEmpty, "nobody sleeps")
        #expect(element.armProducer(ifStill: 1))
        #expect(element.armProducer(ifStill: 1), "arming twice is no error")
        #expect(element.producer == 1, "the flag is no part of the cursor")
        #expect(element.publishProducer(2) == .signal, "the owner sleeps")
        #expect(element.publishProducer(3).isEmpty, "it was told")
        #expect(element.producer == 3)
    }

    @Test func whoIsLateDoesNotSleep() throws {
        let element = try Self.make()
        _ = element.publishProducer(1)
        #expect(!element.armProducer(ifStill: 0))
        #expect(element.publishProducer(2).isEmpty, "a failed arming leaves no flag")
        _ = element.publishConsumer(9)
        #expect(!element.armConsumer(ifStill: 8))
        #expect(element.armConsumer(ifStill: 9))
        #expect(element.publishConsumer(10) == .signal)
        #expect(element.consumer == 10)
    }

    /// Both words in all orders of arming and publishing, against a model.
    @Test(arguments: 0..<50) func anyOrderFollowsTheModel(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let element = try Self.make()
        var (cursors, flags) = ([UInt64(0), 0], [false, false])
        for _ in 0..<500 {
            let word = Int.random(in: 0...1, using: &random)
            if Bool.random(using: &random) {
                cursors[word] += UInt64.random(in: 0...3, using: &random)
                let told = !(word == 0 ? element.publishProducer(cursors[0]) : element.publishConsumer(cursors[1]))
                    .isEmpty
                if told != flags[word] { Issue.record("told \(told) at \(cursors), seed \(seed)") }
                flags[word] = false
            } else {
                let seen = cursors[word] &- UInt64.random(in: 0...1, using: &random)
                let isArmed = word == 0 ? element.armProducer(ifStill: seen) : element.armConsumer(ifStill: seen)
                if isArmed != (seen == cursors[word]) { Issue.record("armed \(isArmed) at \(cursors), seed \(seed)") }
                if isArmed { flags[word] = true }
            }
        }
        #expect(element.producer == cursors[0] && element.consumer == cursors[1], "seed \(seed)")
    }

    /// A million cursors from one thread to another, which sleeps on every one that it has to wait for.
    ///
    /// The futex stands for the interrupt: it is counted up only when publishing said that the other side sleeps. A lost
    /// wake-up shows as a wait that runs into its limit.
    @Test func noWakeUpIsLost() async throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: BufferElementLayout.controlByteCount + Self.ring)
        let race = SleepRace(
            writer: try TestElement.element(file, Self.ring), reader: try TestElement.element(file, Self.ring))
        let worker = Worker(name: "writer")
        let other = Worker(name: "reader")
        async let written: Void = worker.run { race.write() }
        async let read: Void = other.run { race.read() }
        _ = await (written, read)
        #expect(race.lost.load(ordering: .relaxed) == 0)
        #expect(race.reader.producer == SleepRace.total)
        // Each sleep was ended by its own signal and no other.
        #expect(race.signals.load(ordering: .relaxed) <= race.sleeps.load(ordering: .relaxed))
        #expect(race.sleeps.load(ordering: .relaxed) > 0, "nothing was proven: nobody slept")
    }
}

private final class SleepRace: Sendable {
    /// `make soak` asks for more.
    static let total = getenv("SMC_SOAK_COUNT").flatMap { UInt64(String(cString: $0)) } ?? 1_000_000
    let writer: BufferElement
    let reader: BufferElement
    private let interrupt = FutexWord()
    let lost = Atomic<Int>(0)
    let sleeps = Atomic<Int>(0)
    let signals = Atomic<Int>(0)

    init(writer: BufferElement, reader: BufferElement) {
        self.writer = writer
        self.reader = reader
    }

    func write() {
        var random = SeededGenerator(seed: 1)
        var cursor: UInt64 = 0
        while cursor < Self.total {
            cursor += 1
            if !self.writer.publishProducer(cursor).isEmpty {
                self.signals.add(1, ordering: .relaxed)
                self.interrupt.add(1)
                self.interrupt.wake(1)
            }
            // Lets the reader catch up and fall asleep at different moments.
            if cursor % 8 == 0 { for _ in 0..<(random.next() % 64) { Processor.pause() } }
        }
    }

    func read() {
        var seen: UInt64 = 0
        while seen < Self.total {
            let producer = self.reader.producer
            guard producer == seen else {
                if producer < seen { self.lost.add(1, ordering: .relaxed) }
                seen = producer
                continue
            }
            let ticket = self.interrupt.value
            guard self.reader.armProducer(ifStill: seen) else { continue }
            self.sleeps.add(1, ordering: .relaxed)
            let limit = ContinuousClock.now.advanced(by: .seconds(20))
            while self.interrupt.value == ticket {
                guard ContinuousClock.now < limit else {
                    self.lost.add(1, ordering: .relaxed)
                    return
                }
                self.interrupt.wait(whileEqual: ticket, timeout: .seconds(20))
            }
        }
    }
}
