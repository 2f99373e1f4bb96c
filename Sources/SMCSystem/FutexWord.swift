internal import CSMCShims
internal import Glibc
internal import Synchronization

/// A 32-bit word of this process that threads can sleep on (futex(2)).
@safe
package final class FutexWord: @unchecked Sendable {
    // Sendable: the word is only ever touched by atomic operations.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    package init(_ value: UInt32 = 0) {
        unsafe self.word = .allocate(capacity: 1)
        unsafe self.word.initialize(to: Atomic(value))
    }

    deinit {
        // SAFETY: allocated and initialised in init, and nobody holds a reference any more.
        unsafe self.word.deinitialize(count: 1)
        unsafe self.word.deallocate()
    }

    package var value: UInt32 {
        unsafe self.word.pointee.load(ordering: .sequentiallyConsistent)
    }

    package func add(_ count: UInt32) {
        // Sequentially consistent: callers look next whether anybody sleeps, and that load must not come before.
        _ = unsafe self.word.pointee.wrappingAdd(count, ordering: .sequentiallyConsistent)
    }

    /// Takes one off unless the word is 0; tells whether it did.
    package func takeOne() -> Bool {
        var seen = self.value
        while seen > 0 {
            let (exchanged, original) = unsafe self.word.pointee.compareExchange(
                expected: seen, desired: seen - 1, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            seen = original
        }
        return false
    }

    /// Sleeps while the word has this value, until woken or the time is over. May return early.
    package func wait(whileEqual value: UInt32, timeout: Duration?) {
        // SAFETY: an Atomic<UInt32> is stored as its UInt32, and the word lives as long as this object.
        let word = unsafe UnsafePointer<UInt32>(OpaquePointer(self.word))
        _ = unsafe csmc_futex_wait(word, value, Self.nanoseconds(timeout), 0)
    }

    fileprivate static func nanoseconds(_ timeout: Duration?) -> Int64 {
        guard let timeout else { return -1 }
        let (seconds, attoseconds) = timeout.components
        return max(0, min(seconds, 1_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    package func wake(_ count: Int32) {
        _ = unsafe csmc_futex_wake(UnsafePointer<UInt32>(OpaquePointer(self.word)), count, 0)
    }
}

/// Sleeping on a word of memory that processes share (futex(2)). Whoever can write the word can wake its sleepers, or
/// let them sleep; nothing else.
package enum SharedFutex {
    /// Sleeps while the lower half of the word has this value, until woken or the time is over. May return early.
    ///
    /// - Safety: `word` points to 8 bytes that stay mapped for the call.
    @unsafe
    package static func wait(_ word: UnsafeRawPointer, whileLowerHalfIs value: UInt32, timeout: Duration?) {
        // SAFETY: the machine has its lower half first; the kernel reads it only.
        _ = unsafe csmc_futex_wait(
            word.assumingMemoryBound(to: UInt32.self), value, FutexWord.nanoseconds(timeout), 1)
    }

    /// Wakes whoever sleeps on the word.
    ///
    /// - Safety: as ``wait(_:whileLowerHalfIs:timeout:)``.
    @unsafe
    package static func wake(_ word: UnsafeRawPointer) {
        // SAFETY: the kernel uses the address only.
        _ = unsafe csmc_futex_wake(word.assumingMemoryBound(to: UInt32.self), .max, 1)
    }
}

/// Hints for the processor and the scheduler while spinning.
package enum Processor {
    /// Tells the core that this is a spin loop.
    @inline(__always)
    package static func pause() {
        csmc_pause()
    }

    /// Lets another runnable thread have the core.
    package static func yield() {
        sched_yield()
    }

    /// What this host calls itself.
    package static let hostName: String = {
        var name = [CChar](repeating: 0, count: 256)
        // SAFETY: the buffer is ours; its last byte stays zero.
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    /// Cores that are online.
    package static let count = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
