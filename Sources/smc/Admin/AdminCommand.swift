import ArgumentParser
import SMCControl
import SMCSystem
import SMCWire

/// `smc admin`: what administrators decide while the hypervisor runs.
struct AdminCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Change what the hypervisor allows: VLANs, partitions, memory, who may join what.",
        discussion: """
            The hypervisor's own user and root may do everything, others what the roles of the configuration file give \
            them. What is changed here lasts until the hypervisor ends, or until a reload whose file says otherwise.

            Examples:
              smc admin vlan create db --slice 64M --access authorised
              smc admin partition create orders --user postgres
              smc admin authorise orders db --limit 16M
              smc admin disable db
              smc admin reload

            Exit codes: 0 done, 1 a local failure, 6 there is no hypervisor, 7 it refused, 64 wrong usage.
            """,
        subcommands: [
            AdminVLAN.self, AdminPartition.self, AdminAuthorise.self, AdminRevoke.self, AdminEnable.self,
            AdminDisable.self, AdminSlice.self, AdminPool.self, AdminAddress.self, AdminReload.self,
        ])
}

/// Options of every verb.
struct AdminOptions: ParsableArguments {
    @Option(help: "The hypervisor that listens there. [default: the system's, else your own]")
    var socket: String?

    @Flag(help: "Print one JSON object: the result on standard output, what failed on standard error.")
    var json = false

    /// Asks the hypervisor, and ends the command with the right code when that fails.
    func withSession<Result>(
        timeout: Duration = HypervisorSession.defaultTimeout,
        _ body: (HypervisorSession) throws(ControlError) -> Result
    ) throws -> Result {
        do throws(ControlError) {
            var automatic = HypervisorLocator.Automatic()
            automatic.startsHypervisor = false
            let locator = self.socket.map { HypervisorLocator.socket($0) } ?? .automatic(automatic)
            return try body(try locator.connect(timeout: timeout))
        } catch {
            throw self.failed(error)
        }
    }

    /// Says what went wrong.
    func failed(_ error: ControlError) -> ExitCode {
        let (code, exit): (String, ExitCode) =
            switch error {
            case .refused(let refusal, _): (refusal.name, Self.refused)
            case .unavailable: ("no-hypervisor", StatusCommand.noHypervisor)
            default: ("failed", Exit.failure)
            }
        if self.json {
            StandardStream.error.write(jsonLine(Failed(code: code, error: "\(error)")) + "\n")
        } else {
            complain("\(error)")
        }
        return exit
    }

    /// Says what was done.
    ///
    /// - Parameter byteCount: of which size, when that is not what was asked for.
    func report(_ text: String, _ byteCount: Int? = nil) {
        print(self.json ? jsonLine(Done(done: text, byteCount: byteCount)) : text)
    }

    private struct Done: Encodable {
        var done: String
        var byteCount: Int?
    }

    /// The hypervisor said no.
    static let refused = ExitCode(7)

    private struct Failed: Encodable {
        var code: String
        var error: String
    }

    /// Users or groups as numbers.
    static func numbers(
        _ names: [String], _ kind: String, _ lookup: (String) throws(SystemCallError) -> UInt32?
    ) throws -> [UInt32] {
        try names.map { name in
            if let number = UInt32(name), number < .max { return number }
            guard let number = try lookup(name) else {
                throw ValidationError("this machine has no \(kind) '\(name)'; give another name, or a number")
            }
            return number
        }
    }
}

/// A verb that is one instruction.
protocol AdministrativeVerb: ParsableCommand {
    var options: AdminOptions { get }
    /// How long the answer may take.
    var timeout: Duration { get }
    /// The instruction, which may depend on how things are.
    func request(_ session: HypervisorSession) throws -> AdministrativeRequest
    /// For a person, when it is done.
    var report: String { get }
}

extension AdministrativeVerb {
    var timeout: Duration { HypervisorSession.defaultTimeout }

    func run() throws {
        let session = try self.options.withSession(timeout: self.timeout) { session throws(ControlError) in session }
        let request: AdministrativeRequest
        do {
            request = try self.request(session)
        } catch let error as ControlError {
            throw self.options.failed(error)
        }
        do throws(ControlError) {
            try session.administer(request)
        } catch {
            throw self.options.failed(error)
        }
        self.options.report(self.report)
    }
}

extension HypervisorStatus {
    /// The definition of a VLAN as it is now.
    func definition(_ vlan: VLANID) throws(ControlError) -> VLANDefinition {
        guard let status = self.vlans.first(where: { $0.vlan == vlan }) else {
            throw .refused(
                .unknownVLAN, "There is no VLAN \(vlan); `smc admin vlan list` shows those that you may see.")
        }
        return status.definition
    }
}
