package import Logging
internal import SMCControl
internal import SMCMemory
package import SMCSystem
internal import SMCWire

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
        // Before anything that takes long: a second hypervisor must not take memory first.
        let lock = try self.lock()
        let plan = try self.plan()
        let pools = try self.makePools(plan)
        do throws(SystemCallError) {
            if configuration.handlesSignals {
                let signals = try TerminationSignals.install()
                try self.serve(lock, plan, pools, signals: signals)
            } else {
                try self.serve(lock, plan, pools, signals: nil)
            }
        } catch {
            throw .system("the hypervisor ended: \(error)")
        }
    }

    private func lock() throws(HypervisorStartError) -> FileLock {
        let path = self.configuration.socketPath
        do throws(SystemCallError) {
            if let lock = try FileLock.tryAcquire(path + ".lock") { return lock }
        } catch {
            throw .system("the hypervisor cannot start: \(error)")
        }
        throw .alreadyRunning(path)
    }

    private func serve(
        _ lock: consuming FileLock, _ plan: Plan, _ pools: [BlockMaker], signals: TerminationSignals?
    ) throws(SystemCallError) {
        let path = self.configuration.socketPath
        let listener = try ListeningSocket(self.configuration, lock: lock)
        let loop = try DaemonLoop(
            self.configuration, plan, pools: pools, listener: listener, logger: self.logger)
        self.logger.notice(
            "hypervisor listens",
            metadata: [
                "socket": "\(path)", "poolBytes": "\(pools.reduce(0) { $0 + $1.growth.byteCount })",
                "blocks": "\(pools.reduce(0) { $0 + $1.growth.blockCount })",
            ])
        // The socket goes first, so that whoever comes now starts another one instead of waiting for us.
        defer { listener.remove() }
        try loop.run(until: self.stopEvent, signals: signals)
        self.logger.notice("hypervisor ends", metadata: ["socket": "\(path)"])
    }

}

/// Starting: how much of what, and taking it.
extension HypervisorDaemon {
    /// How many blocks and sessions the descriptors suffice for.
    struct Plan {
        /// Of all pools together, now and when they have grown.
        var blocksMaximum: Int
        var sessionsMaximum: Int
        var adoptedMaximum: Int
        /// However many an administrator wants.
        var sessionsPossible: Int
        /// What is left of the pools that were asked for: this part of their blocks.
        var layouts: [PoolLayout]
    }

    private func plan() throws(HypervisorStartError) -> Plan {
        if let problem = PoolConfiguration.problem(self.configuration.pools) { throw .unsuitable(problem) }
        let reserve = 64
        let limit: Int
        do throws(SystemCallError) {
            limit = try ResourceLimits.raiseDescriptorLimit()
        } catch {
            throw .system("the limit of open files is not known: \(error)")
        }
        let available = max(0, limit - reserve)
        let wanted = self.configuration.pools.map { self.layout($0, isHuge: $0.wantsHugePages) }
        let wantedCount = wanted.reduce(0) { $0 + $1.geometry.blockCount }
        // Each block needs one; the other two fifths are for sessions (one each) and pairs (four each).
        let layouts = wanted.map { self.limited($0, wantedCount, available * 3 / 5) }
        let count = layouts.reduce(0) { $0 + $1.geometry.blockCount }
        if count < wantedCount {
            self.logger.warning(
                "the pool is smaller than was asked for: this process may not open more files; raise `ulimit -n`",
                metadata: ["askedBlocks": "\(wantedCount)", "blocks": "\(count)"])
        }
        // A quarter of the rest each for sessions and for SMBs of earlier hypervisors; pairs and growth have what is left.
        let left = available - count
        let possible = max(1, left / 4)
        return Plan(
            blocksMaximum: count + left / 4, sessionsMaximum: min(self.configuration.sessionsMaximum, possible),
            adoptedMaximum: left / 4, sessionsPossible: possible, layouts: layouts)
    }

    private func layout(_ pool: PoolConfiguration, isHuge: Bool) -> PoolLayout {
        PoolLayout(
            pool.name, pages: isHuge ? .huge : pool.wantsHugePages ? .ordinaryForHuge : .ordinary,
            pool.geometry(isHuge: isHuge, controlByteCount: self.configuration.controlByteCount))
    }

    private func limited(_ layout: PoolLayout, _ wanted: Int, _ maximum: Int) -> PoolLayout {
        guard wanted > maximum else { return layout }
        var limited = layout
        limited.geometry = layout.geometry.limited(toBlocks: layout.geometry.blockCount * maximum / wanted)
        return limited
    }

    /// Takes the memory of all pools, huge pages first: whoever has them, has them.
    private func makePools(_ plan: Plan) throws(HypervisorStartError) -> [BlockMaker] {
        var makers: [BlockMaker] = []
        for (pool, layout) in zip(self.configuration.pools, plan.layouts) {
            do throws(BlockMakerError) {
                makers.append(try self.make(layout))
            } catch {
                guard case .noHugePages = error else {
                    throw .unsuitable("pool \(pool.name) of \(layout.geometry.byteCount) bytes: \(error)")
                }
                makers.append(try self.makeOrdinary(pool, plan))
            }
        }
        return makers
    }

    private func makeOrdinary(_ pool: PoolConfiguration, _ plan: Plan) throws(HypervisorStartError) -> BlockMaker {
        let huge = self.layout(pool, isHuge: true).geometry
        let wanted = self.layout(pool, isHuge: false)
        self.logger.notice(
            """
            pool \(pool.name) is made of ordinary pages: the machine has not so many huge ones free; set more aside in \
            /proc/sys/vm/nr_hugepages to have them
            """,
            metadata: ["pool": "\(pool.name)", "hugePages": "\(huge.byteCount / PoolGeometry.hugePageByteCount)"])
        let layout = self.limited(wanted, wanted.geometry.blockCount, plan.blocksMaximum / 2)
        do throws(BlockMakerError) {
            return try self.make(layout)
        } catch {
            throw .unsuitable("pool \(pool.name) of \(layout.geometry.byteCount) bytes: \(error)")
        }
    }

    private func make(_ layout: PoolLayout) throws(BlockMakerError) -> BlockMaker {
        let maker = BlockMaker(PoolGrowth(layout))
        try maker.make(byteLimit: .max)
        return maker
    }
}
