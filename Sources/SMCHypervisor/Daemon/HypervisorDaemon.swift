package import Logging
internal import SMCControl
internal import SMCMemory
package import SMCSystem

/// A hypervisor as a process, or as a thread of one: one loop over one poller; see `Docs/Hypervisor.md`.
package final class HypervisorDaemon: Sendable {
    private let configuration: HypervisorConfiguration
    private let logger: Logger
    private let stopEvent: EventDescriptor

    package init(configuration: HypervisorConfiguration, logger: Logger) throws(SystemCallError) {
        self.configuration = configuration
        self.logger = logger
        self.stopEvent = try EventDescriptor()
    }

    /// Ends ``run()``, from any thread.
    package func stop() {
        self.stopEvent.signal()
    }

    /// Takes the memory, listens, and serves until it is told to stop, or is idle for too long.
    package func run() throws(HypervisorStartError) {
        let configuration = self.configuration
        let isPrivate = configuration.allowedUsers == .ownerAndRoot
        do throws(ControlError) {
            try RuntimeDirectory.prepare(configuration.directory, isPrivate: isPrivate)
        } catch {
            throw .unsuitable(error.description)
        }
        do throws(SystemCallError) {
            // Before anything that takes long: a second hypervisor must not take memory first.
            guard let lock = try FileLock.tryAcquire(configuration.socketPath + ".lock") else {
                throw Self.alreadyRunning
            }
            if configuration.handlesSignals {
                let signals = try TerminationSignals.install()
                try self.serve(isPrivate: isPrivate, signals: signals)
            } else {
                try self.serve(isPrivate: isPrivate, signals: nil)
            }
            _ = consume lock  // Held until here, so that no other hypervisor's socket was removed.
        } catch {
            throw error == Self.alreadyRunning
                ? .alreadyRunning(configuration.socketPath) : .system("the hypervisor ended: \(error)")
        }
    }

    private static let alreadyRunning = SystemCallError(call: "flock", errno: Errno.tryAgain)

    private func serve(isPrivate: Bool, signals: TerminationSignals?) throws(SystemCallError) {
        let path = self.configuration.socketPath
        let plan = try self.plan()
        let blocks = try BlockStore.create(plan.geometry)
        try FileSystem.remove(path)  // Left by a hypervisor that was killed: we have its lock.
        let listener = try UnixSocket.listen(path: path)
        try FileSystem.setPermissions(path, isPrivate ? 0o600 : 0o666)
        let loop = try DaemonLoop(
            self.configuration, plan, blocks: blocks, listener: listener, logger: self.logger)
        self.logger.notice(
            "hypervisor listens",
            metadata: [
                "socket": "\(path)", "poolBytes": "\(plan.geometry.byteCount)", "blocks": "\(plan.geometry.blockCount)",
            ])
        // The socket goes first, so that whoever comes now starts another one instead of waiting for us.
        defer { try? FileSystem.remove(path) }
        try loop.run(until: self.stopEvent, signals: signals)
        self.logger.notice("hypervisor ends", metadata: ["socket": "\(path)"])
    }

    /// How many blocks and sessions the descriptors suffice for.
    struct Plan {
        var geometry: PoolGeometry
        var sessionsMaximum: Int
        /// However many an administrator wants.
        var sessionsPossible: Int
    }

    private func plan() throws(SystemCallError) -> Plan {
        let reserve = 64
        let wanted = PoolGeometry(
            byteCount: self.configuration.poolByteCount, controlByteCount: self.configuration.controlByteCount)
        let available = max(0, try ResourceLimits.raiseDescriptorLimit() - reserve)
        // Each block needs one; the other half is for sessions (one each) and pairs (four each).
        let geometry = wanted.limited(toBlocks: available / 2)
        if geometry.blockCount < wanted.blockCount {
            self.logger.warning(
                "the pool is smaller than was asked for: this process may not open more files; raise `ulimit -n`",
                metadata: [
                    "askedBytes": "\(wanted.byteCount)", "poolBytes": "\(geometry.byteCount)",
                    "askedBlocks": "\(wanted.blockCount)", "blocks": "\(geometry.blockCount)",
                ])
        }
        let left = available - geometry.blockCount
        let possible = max(1, left / 4)
        return Plan(
            geometry: geometry, sessionsMaximum: min(self.configuration.sessionsMaximum, possible),
            sessionsPossible: possible)
    }
}
