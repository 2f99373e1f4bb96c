internal import Logging
internal import SMCSystem
internal import SMCWire
internal import Synchronization

/// What the daemon keeps for administrators: the settings in force, the audit log, and who waits for new settings.
final class Administration: Sendable {
    private struct State {
        var settings: HypervisorSettings
        var audit: AuditLog?
        var isReading = false
        /// Somebody asked after the reading had begun, so that it may have seen the file as it was before.
        var isStale = false
        var waiting: [Waiting] = []
        var read: Result<HypervisorSettings, SettingsRefusal>?
    }

    /// A session whose answer waits.
    struct Waiting {
        let key: UInt64
        let requestID: UInt32
    }

    private let read: (@Sendable () -> Result<HypervisorSettings, SettingsRefusal>)?
    private let event: EventDescriptor
    private let state: Mutex<State>

    /// Opens the audit log.
    init(_ configuration: HypervisorConfiguration, logger: Logger) throws(SystemCallError) {
        let settings = configuration.settings ?? HypervisorSettings()
        var audit: AuditLog?
        if let path = settings.auditPath { audit = try AuditLog(path: path, logger: logger) }
        self.event = try EventDescriptor()
        self.state = Mutex(State(settings: settings, audit: audit))
        self.read = configuration.readSettings
    }

    var settings: HypervisorSettings {
        self.state.withLock { $0.settings }
    }

    /// What a session's process may do as an administrator. The hypervisor's own user, and root, may do everything.
    func roles(of session: DaemonSession) -> Roles {
        let userID = session.credentials.userID
        if userID == 0 || userID == Process.userID { return .all }
        return self.settings.roles(userID: userID, groupIDs: session.groupIDs)
    }

    // MARK: The audit log

    private var audit: AuditLog? {
        self.state.withLock { $0.audit }
    }

    /// - Parameter reason: why a session ended.
    func record(_ records: [AuditRecord], because reason: String? = nil) {
        guard !records.isEmpty, let audit else { return }
        let time = WallClock.now()
        for var record in records {
            if record.action == .end, let reason { record.text = reason }
            audit.record(record.line(time: time))
        }
    }

    /// What never came to the books: a request that could not be read, or of somebody who is not served; the start and
    /// the end of the hypervisor; what became of a reading of the configuration.
    func note(
        _ event: String, _ session: DaemonSession?, _ refusal: HypervisorRefusal? = nil, _ text: String? = nil
    ) {
        guard let audit else { return }
        var line = JSONLine()
        line.add("time", WallClock.now())
        line.add("event", event)
        line.add("result", refusal?.name ?? "granted")
        if let session { line.add("session", session.caller.rawValue) }
        line.add("pid", session?.credentials.processID ?? Process.processID)
        line.add("uid", session?.credentials.userID ?? Process.userID)
        line.add("text", text)
        audit.record(line)
    }

    func close() {
        self.note("stop", nil)
        self.audit?.close()
    }

    // MARK: Reading settings

    /// Readable when settings were read.
    var descriptor: Int32 {
        self.event.descriptor.rawValue
    }

    /// Whether there is something that a hang-up can be about.
    var canHangUp: Bool {
        self.read != nil || self.audit != nil
    }

    var canRead: Bool {
        self.read != nil
    }

    func reopenAudit() {
        self.audit?.reopen()
    }

    /// Begins to read the settings, which may take long: names of users are looked up.
    ///
    /// - Parameter waiting: who is to be told.
    func beginReading(for waiting: Waiting?) {
        let mayBegin = self.state.withLock { state in
            if let waiting { state.waiting.append(waiting) }
            if state.isReading { state.isStale = true }
            defer { state.isReading = true }
            return !state.isReading
        }
        if mayBegin { self.startReader() }
    }

    private func startReader() {
        SystemThread.start(name: "smc-settings") { [self] in
            let result = self.read?()
            self.state.withLock { $0.read = result }
            self.event.signal()
        }
    }

    /// What was read, and who waits for it; nil when it is read once more.
    func takeReading() -> (Result<HypervisorSettings, SettingsRefusal>, [Waiting])? {
        self.event.clear()
        let (result, isStale) = self.state.withLock { state in
            defer {
                state.read = nil
                state.isStale = false
            }
            return (state.read, state.isStale)
        }
        guard let result else { return nil }
        if isStale {
            self.startReader()
            return nil
        }
        return self.state.withLock { state in
            defer { state.waiting = [] }
            state.isReading = false
            return (result, state.waiting)
        }
    }

    /// Opens the audit log of new settings if it is another one; the log in use is not touched.
    func openAudit(of settings: HypervisorSettings, logger: Logger) throws(SystemCallError) -> AuditLog? {
        guard let path = settings.auditPath, path != self.audit?.path else { return nil }
        return try AuditLog(path: path, logger: logger)
    }

    /// From now on these settings are in force.
    ///
    /// - Parameter audit: a log of another path.
    func adopt(_ settings: HypervisorSettings, _ audit: AuditLog?) {
        let former = self.state.withLock { state -> AuditLog? in
            state.settings = settings
            guard audit != nil || settings.auditPath == nil else { return nil }
            defer { state.audit = audit }
            return state.audit
        }
        former?.close()
        self.reopenAudit()
    }
}
