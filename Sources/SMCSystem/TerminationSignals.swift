internal import CSMCShims
internal import Glibc

/// The wish of others that this process ends, as a readable descriptor, so that it is met between other events.
///
/// A handler writes to an eventfd. signalfd(2) would need the signals blocked in every thread, and those of the Swift
/// runtime may be there before us. One per process.
package struct TerminationSignals: ~Copyable, Sendable {
    private static let awaited = [SIGTERM, SIGINT, SIGHUP]
    /// A reader of our output that is gone, and an opener of a file that we have a lease on, must not end us.
    private static let ignored = [SIGPIPE, SIGIO]

    private let event: EventDescriptor

    private init(event: consuming EventDescriptor) {
        self.event = event
    }

    /// From now on SIGTERM, SIGINT and SIGHUP make ``descriptor`` readable instead of ending the process.
    package static func install() throws(SystemCallError) -> TerminationSignals {
        let signals = TerminationSignals(event: try EventDescriptor())
        let number = signals.descriptor
        for signal in Self.awaited {
            _ = try retrying("sigaction") { csmc_signal_to_descriptor(signal, number) }
        }
        for signal in Self.ignored {
            _ = try retrying("sigaction") { csmc_ignore_signal(signal) }
        }
        return signals
    }

    package var descriptor: Int32 {
        self.event.descriptor.rawValue
    }

    deinit {
        for signal in Self.awaited {
            _ = csmc_signal_to_descriptor(signal, -1)
        }
    }
}
