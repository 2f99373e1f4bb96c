internal import Logging
internal import SMCSystem
internal import SMCWire

/// Putting a changed configuration into force while partitions go on.
extension DaemonLoop {
    /// Performs what a configuration says. It has all roles: who may write the file may do what it says.
    private static let administrator = CallerID(0)

    /// SIGHUP.
    ///
    /// - Returns: false when there is nothing that it could be about, so that it ends the hypervisor.
    func hangUp() -> Bool {
        guard self.administration.canHangUp else { return false }
        self.administration.reopenAudit()
        if self.administration.canRead { self.administration.beginReading(for: nil) }
        return true
    }

    /// A session asked for it and may do so.
    func readSettings(for session: DaemonSession, _ requestID: UInt32) {
        let waiting = Administration.Waiting(key: session.caller.rawValue, requestID: requestID)
        guard self.administration.canRead else {
            let text = "This hypervisor has no configuration file; start it with --config to have one."
            return self.tell([waiting], .refused(.notSupported, text))
        }
        self.administration.beginReading(for: waiting)
    }

    /// The settings were read.
    func finishReading() {
        guard let (result, waiting) = self.administration.takeReading() else { return }
        do throws(SettingsRefusal) {
            try self.putIntoForce(try result.get())
            self.logger.notice("the configuration was read again, and is in force")
            self.administration.note("configuration", nil)
            self.tell(waiting, .done)
        } catch {
            self.logger.error("the configuration stays as it was: \(error)")
            self.administration.note("configuration", nil, .unsuitableConfiguration, error.description)
            self.tell(waiting, .refused(.unsuitableConfiguration, error.description))
        }
    }

    private func tell(_ waiting: [Administration.Waiting], _ response: ControlResponse) {
        for one in waiting {
            // It may be gone by now.
            guard let session = self.sessions[one.key] else { continue }
            if !self.answer(response, requestID: one.requestID, [], session) {
                self.end(one.key, "it does not read its answers, or is gone")
            }
        }
    }

    /// All or nothing: the instructions are performed on a copy of the books, which replaces them if all were granted.
    private func putIntoForce(_ settings: HypervisorSettings) throws(SettingsRefusal) {
        let requests = try SettingsChange.requests(
            from: self.administration.settings, to: settings, books: self.hypervisor.administeredBooks)
        var books = self.hypervisor
        var outcomes: [Outcome] = []
        let identity = CallerIdentity(processID: Process.processID, userID: Process.userID, roles: .all)
        _ = books.perform(.open(identity), by: Self.administrator)
        for request in requests {
            let outcome = books.perform(.request(.administer(request)), by: Self.administrator)
            if case .refused(_, let text) = outcome.response { throw SettingsRefusal([text]) }
            outcomes.append(outcome)
        }
        _ = books.perform(.close, by: Self.administrator)
        let audit: AuditLog?
        do throws(SystemCallError) {
            audit = try self.administration.openAudit(of: settings, logger: self.logger)
        } catch {
            throw SettingsRefusal(["the audit log cannot be opened: \(error)"])
        }
        // Nothing fails from here on.
        self.hypervisor = books
        self.administration.adopt(settings, audit)
        for outcome in outcomes {
            self.administration.record(outcome.records)
            _ = self.carryOut(outcome.effects)
        }
        self.hypervisor.limitPartitions(to: settings.limits.partitions)
        self.sessionsMaximum = min(settings.limits.sessions, self.plan.sessionsPossible)
        self.handshakeTimeout = .seconds(settings.limits.handshakeSeconds)
        if let level = settings.logLevel.flatMap({ Logger.Level(rawValue: $0.rawValue) }) {
            self.logger.logLevel = level
        }
        for session in self.sessions.values {
            _ = self.hypervisor.perform(.setRoles(self.administration.roles(of: session)), by: session.caller)
        }
    }
}
