internal import CSMCShims
internal import Glibc

/// The wish of others that this process ends, as a readable descriptor, so that it is met between other events.
///
/// A handler writes to an eventfd. signalfd(2) would need the signals blocked in every thread, and those of the Swift
/// runtime may be there before us. One per process.
package final class TerminationSignals: Sendable {
    private static let awaited = [SIGTERM, SIGINT]
    /// A reader of our output that is gone, and an opener of a file that we have a lease on, must not end us.
    private static let ignored = [SIGPIPE, SIGIO]

    private let event: EventDescriptor
    private let hangUpEvent: EventDescriptor

    private init(event: consuming EventDescriptor, hangUpEvent: consuming EventDescriptor) {
        self.event = event
        self.hangUpEvent = hangUpEvent
    }

    /// From now on SIGTERM and SIGINT make ``descriptor`` readable, and SIGHUP makes ``hangUp`` readable, instead of
    /// ending the process.
    package static func install() throws(SystemCallError) -> TerminationSignals {
        let signals = TerminationSignals(event: try EventDescriptor(), hangUpEvent: try EventDescriptor())
        let number = signals.descriptor
        for signal in Self.awaited {
            _ = try retrying("sigaction") { csmc_signal_to_descriptor(signal, number) }
        }
        let hangUpNumber = signals.hangUp
        _ = try retrying("sigaction") { csmc_signal_to_descriptor(SIGHUP, hangUpNumber) }
        for signal in Self.ignored {
            _ = try retrying("sigaction") { csmc_ignore_signal(signal) }
        }
        return signals
    }

    package var descriptor: Int32 {
        self.event.descriptor.rawValue
    }

    /// SIGHUP: for programs that have something to read again, the wish that they do.
    package var hangUp: Int32 {
        self.hangUpEvent.descriptor.rawValue
    }

    /// Takes the hang-ups that came so far.
    package func clearHangUp() {
        self.hangUpEvent.clear()
    }

    deinit {
        for signal in Self.awaited + [SIGHUP] {
            _ = csmc_signal_to_descriptor(signal, -1)
        }
    }
}
