internal import CSMCShims
internal import Glibc
internal import Synchronization

/// Steps at which a test kills a process, to see what is left when it dies exactly there.
///
/// Debug builds count the steps of a process whose environment has `SMC_FAULT_LOG` or `SMC_FAULT_STEP`; release builds
/// have no trace of it.
///
/// - `SMC_FAULT_STEP=n`: the process kills itself (SIGKILL) at its n-th step.
/// - `SMC_FAULT_FROM=name`: steps count only from the first one of this name on.
/// - `SMC_FAULT_LOG=path`: each step is a line there, `number name value`.
package enum FaultPoint {
    /// The process is at a step.
    ///
    /// - Parameters:
    ///   - name: says which, without spaces.
    ///   - value: goes into the log: a cursor that is about to be published, for instance.
    @inlinable @inline(__always)
    package static func reach(_ name: @autoclosure () -> String, _ value: @autoclosure () -> UInt64 = 0) {
        #if DEBUG
            if self.isArmed { self.count(name(), value()) }
        #endif
    }

    #if DEBUG
        @usableFromInline static let isArmed = plan.lastStep != nil || plan.logPath != nil

        private struct Plan {
            let lastStep: Int?
            let firstName: String?
            let logPath: String?
        }

        private static let plan = Plan(
            lastStep: Process.environment("SMC_FAULT_STEP").flatMap { Int($0) },
            firstName: Process.environment("SMC_FAULT_FROM"), logPath: Process.environment("SMC_FAULT_LOG"))

        private struct State {
            var step = 0
            var hasBegun = false
        }
        private static let state = Mutex(State())

        @usableFromInline
        static func count(_ name: String, _ value: UInt64) {
            // The lock is held while the line is written: the order in the log is that of the numbers.
            self.state.withLock { state in
                if !state.hasBegun { state.hasBegun = plan.firstName == nil || plan.firstName == name }
                guard state.hasBegun else { return }
                state.step += 1
                if let path = plan.logPath { self.log("\(state.step) \(name) \(value)\n", path) }
                if state.step == plan.lastStep { kill(getpid(), SIGKILL) }
            }
        }

        private static func log(_ line: String, _ path: String) {
            // SAFETY: the strings live for the calls.
            let number = unsafe csmc_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard number >= 0 else { return }
            let descriptor = OwnedDescriptor(adopting: number)
            let bytes = Array(line.utf8)
            let count = bytes.count
            _ = unsafe Glibc.write(descriptor.rawValue, bytes, count)
        }
    #endif
}
