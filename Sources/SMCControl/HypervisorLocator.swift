internal import SMCSystem
internal import SMCWire

/// How a program finds its hypervisor.
package enum HypervisorLocator: Hashable, Sendable {
    /// The system's, else the user's own, else one that is started for the user and ends when idle.
    case automatic(Automatic)
    /// The one that listens there.
    case socket(String)
    /// None: shared memory is switched off.
    case none

    /// Where ``automatic(_:)`` looks, and what it starts.
    package struct Automatic: Hashable, Sendable {
        /// Looked at first.
        package var systemSocketPath = "/run/smc/hypervisor.sock"
        /// Directories for the user's own hypervisor, most wanted first. Nil: `$XDG_RUNTIME_DIR/smc`, `/tmp/smc-<uid>`.
        package var runtimeDirectories: [String]?
        /// Whether one is started when none is there.
        package var startsHypervisor = true
        /// The `smc` program. Nil: this program if it is `smc`, else the one beside it, else the one in PATH.
        package var executablePath: String?
        /// How long the one that is started stays without a partition.
        package var idleTimeoutSeconds = 30
        /// How long one that is started may take until it answers.
        package var startTimeout: Duration = .seconds(10)

        package init() {}
    }

    /// Opens a session with the hypervisor that is found, or started.
    ///
    /// - Parameter timeout: of each call of the session.
    /// - Throws: ``ControlError/unavailable(_:)`` with all that was tried.
    package func connect(
        timeout: Duration = HypervisorSession.defaultTimeout
    ) throws(ControlError) -> HypervisorSession {
        switch self {
        case .none: throw .unavailable("shared memory is switched off: the configuration names no hypervisor")
        case .socket(let path): return try HypervisorSession.connect(socketPath: path, timeout: timeout)
        case .automatic(let settings): return try settings.connect(timeout: timeout)
        }
    }
}

extension HypervisorLocator.Automatic {
    fileprivate func connect(timeout: Duration) throws(ControlError) -> HypervisorSession {
        var tried: [String] = []
        if let session = Self.trial(self.systemSocketPath, timeout, &tried) { return session }
        let directories = self.runtimeDirectories ?? Self.usualDirectories()
        for directory in directories where RuntimeDirectory.complaint(directory, isPrivate: true) == nil {
            if let session = Self.trial(Self.socketPath(in: directory), timeout, &tried) { return session }
        }
        guard self.startsHypervisor else {
            throw .unavailable("no hypervisor runs, and none shall be started: \(tried.joined(separator: "; "))")
        }
        for directory in directories {
            do throws(ControlError) {
                try RuntimeDirectory.prepare(directory, isPrivate: true)
            } catch {
                tried.append(error.description)
                continue
            }
            return try self.start(in: directory, timeout)
        }
        throw .unavailable("no hypervisor, and no place to start one: \(tried.joined(separator: "; "))")
    }

    /// Where a user's programs look first for the user's own hypervisor.
    package static var userSocketPath: String {
        // The first directory that is ours already, or whose parent is there.
        let usable = Self.usualDirectories().first { directory in
            RuntimeDirectory.complaint(directory, isPrivate: true) == nil
                || (try? RuntimeDirectory.prepare(directory, isPrivate: true)) != nil
        }
        return Self.socketPath(in: usable ?? Self.usualDirectories()[0])
    }

    private static func socketPath(in directory: String) -> String {
        directory + "/hypervisor.sock"
    }

    private static func usualDirectories() -> [String] {
        let shared = "/tmp/smc-\(Process.userID)"
        guard let runtime = Process.environment("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") else { return [shared] }
        return [runtime + "/smc", shared]
    }

    /// A session with the hypervisor at `path`, if it answers, serves us and is run by root or by ourselves.
    private static func trial(_ path: String, _ timeout: Duration, _ tried: inout [String]) -> HypervisorSession? {
        do throws(ControlError) {
            let session = try HypervisorSession.connect(socketPath: path, timeout: timeout)
            let userID = session.hypervisor.userID
            if userID == 0 || userID == Process.userID { return session }
            tried.append("the hypervisor at \(path) is run by user \(userID)")
        } catch {
            tried.append(error.description)
        }
        return nil
    }

    /// Starts a hypervisor, unless another program does so at this moment, and waits until it answers.
    private func start(in directory: String, _ timeout: Duration) throws(ControlError) -> HypervisorSession {
        let path = Self.socketPath(in: directory)
        let deadline = ContinuousClock.now.advanced(by: self.startTimeout)
        // Only the holder of this lock starts one. It is a courtesy to the machine: if two were started all the same,
        // the hypervisor's own lock would end one of them.
        var lock: FileLock?
        var isStarted = false
        var tried: [String] = []
        repeat {
            tried.removeAll()
            if let session = Self.trial(path, timeout, &tried) { return session }
            if lock == nil {
                lock = try Self.translating { () throws(SystemCallError) in
                    try FileLock.tryAcquire(directory + "/start.lock")
                }
                // Somebody may have started one and let go of the lock since we looked: look again before we start.
                if lock != nil { continue }
            } else if !isStarted {
                try self.spawn(path, deadline)
                isStarted = true
            }
            Process.sleep(milliseconds: 10)
        } while ContinuousClock.now < deadline
        throw .unavailable(
            "a hypervisor was started for \(path), but did not answer within \(self.startTimeout) "
                + "(run `smc hypervisor --socket \(path)` to see why): \(tried.joined(separator: "; "))")
    }

    /// Starts `smc hypervisor --detach`, which starts the daemon as a process of its own and ends at once. So the
    /// daemon is never a child of this program: it cannot become its zombie, and no handler of SIGCHLD ever hears of
    /// it. (Forking twice ourselves is no choice: after fork, a program with threads may hardly call anything.)
    private func spawn(_ socketPath: String, _ deadline: ContinuousClock.Instant) throws(ControlError) {
        let executable = try self.executable()
        let arguments = [
            "hypervisor", "--socket", socketPath, "--idle-timeout", "\(self.idleTimeoutSeconds)", "--quiet", "--detach",
        ]
        let child = try Self.translating { () throws(SystemCallError) in
            try Process.spawnDetached(executable, arguments: arguments)
        }
        while ContinuousClock.now < deadline {
            if let status = Process.exitStatus(child) {
                guard status == 0 else {
                    throw .unavailable("no hypervisor runs, and \(executable) could not start one (status \(status))")
                }
                return
            }
            Process.sleep(milliseconds: 2)
        }
    }

    private func executable() throws(ControlError) -> String {
        if let configured = self.executablePath { return configured }
        if let own = Process.executablePath, let slash = own.lastIndex(of: "/") {
            if own[own.index(after: slash)...] == "smc" { return own }
            let beside = own[...slash] + "smc"
            if FileSystem.isExecutable(String(beside)) { return String(beside) }
        }
        for directory in (Process.environment("PATH") ?? "").split(separator: ":") {
            let candidate = directory + "/smc"
            if FileSystem.isExecutable(String(candidate)) { return String(candidate) }
        }
        throw .unavailable("no hypervisor runs, and the program `smc`, which would start one, is not in PATH")
    }

    private static func translating<Result: ~Copyable>(
        _ body: () throws(SystemCallError) -> Result
    ) throws(ControlError) -> Result {
        do throws(SystemCallError) {
            return try body()
        } catch {
            throw .system(error)
        }
    }
}
