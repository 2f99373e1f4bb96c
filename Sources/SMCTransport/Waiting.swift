internal import SMCSystem
internal import Synchronization

/// How a connection waits for its peer.
package enum Waiting: UInt8, Hashable, Sendable, CaseIterable {
    /// Looks for a while that follows the gaps seen lately, then sleeps.
    case adaptive
    /// Looks until something comes; never sleeps, never is signalled.
    case busyPoll
    /// Sleeps at once.
    case blocking
}

/// Decides how long looking again and again is worth it: about twice the usual gap, if that is short.
///
/// One waiter at a time; what others read is only a hint.
final class Spinner: Sendable {
    enum Outcome {
        /// It is worth looking closely.
        case look
        /// Nothing came, and it is time to sleep.
        case sleep
        case timedOut
    }

    enum Limits {
        /// Looks before the clock is read for the first time: 1 to 4 microseconds.
        static let blindLooks = 128
        /// Looks between two readings of the clock.
        static let looksPerRound = 32
        /// Looks between two questions whether anything but bytes has come.
        static let looksPerQuestion = 16
        /// Waking a thread costs about 25 microseconds there and back: what usually comes within that is waited for.
        static let ceiling: Int64 = 50_000
        /// Waits are counted as no longer than this, so that a long pause is soon forgotten.
        static let longest: Int64 = 200_000
        /// From here on others may have the core while we look.
        static let politeness: Int64 = 10_000
    }

    /// The usual gap, in nanoseconds: a moving average over eight.
    private let gap = Atomic<Int64>(Limits.ceiling / 2)

    /// Looks until there is news, or time to sleep.
    ///
    /// - Parameters:
    ///   - poll: looks so many times, with pauses, unless there is news.
    ///   - isQuiet: false when something else than news has come.
    @inline(__always)
    func spin(
        _ waiting: Waiting, until deadline: ContinuousClock.Instant?, _ poll: (Int) -> Bool, _ isQuiet: () -> Bool
    ) -> Outcome {
        guard waiting != .blocking else { return poll(1) || !isQuiet() ? .look : .sleep }
        for _ in 0..<(Limits.blindLooks / Limits.looksPerQuestion) {
            if poll(Limits.looksPerQuestion) || !isQuiet() { return .look }
        }
        return self.spinByTheClock(waiting, until: deadline, poll, isQuiet)
    }

    private func spinByTheClock(
        _ waiting: Waiting, until deadline: ContinuousClock.Instant?, _ poll: (Int) -> Bool, _ isQuiet: () -> Bool
    ) -> Outcome {
        let start = ContinuousClock.now
        let usual = self.gap.load(ordering: .relaxed)
        let budget: Int64 = usual > Limits.ceiling || Processor.count == 1 ? 0 : 2 * usual
        while true {
            if poll(Limits.looksPerRound) {
                self.note(start)
                return .look
            }
            if !isQuiet() { return .look }
            let now = ContinuousClock.now
            if let deadline, now >= deadline { return .timedOut }
            let elapsed = Self.nanoseconds(now - start)
            if waiting != .busyPoll, elapsed >= budget { return .sleep }
            if elapsed > Limits.politeness { Processor.yield() }
        }
    }

    /// Learns from a wait that began then and is over.
    func note(_ start: ContinuousClock.Instant) {
        let gap = min(Self.nanoseconds(.now - start), Limits.longest)
        let usual = self.gap.load(ordering: .relaxed)
        self.gap.store(usual + (gap - usual) / 8, ordering: .relaxed)
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds > 1 ? 1_000_000_000 : seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
