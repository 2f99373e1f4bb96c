import ArgumentParser
import Foundation
import Logging
import SMCConfigurationFile
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCWire

/// `smc hypervisor`: the one process of a machine (or of a user) that owns the shared memory.
struct HypervisorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hypervisor",
        abstract: "Own the shared memory of this machine and lend it to programs.",
        discussion: """
            Programs on one machine talk through memory that a hypervisor lends them. You need not start one: a \
            program that finds none starts one for its user, which ends when it is idle. Start one yourself to choose \
            the size of the pool or to keep groups of programs apart.

            Examples:
              smc hypervisor                                     for your own programs, default pool
              smc hypervisor --pool 1G --vlan web --vlan db      two groups that cannot reach each other
              sudo smc hypervisor --socket /run/smc/hypervisor.sock --everyone
                                                                 for all users of the machine
              smc hypervisor --config smc.yaml                   as the file says; see smc-hypervisor.yaml(5)
            `smc status` shows who has joined and what is in use.

            The memory is taken at the start, all of it, so that no program can fail later for want of it. SIGTERM and \
            SIGINT end the hypervisor; connections that exist go on without it. SIGHUP has it read its configuration \
            file again, and reopen the audit log; without either, it ends it too.

            Exit codes: 0 ended as it was told to, 1 could not start, 5 another one has the socket already, 78 the \
            configuration file cannot be used.
            """)

    @Option(
        help: "Configuration file. [default: for /run/smc/hypervisor.sock /etc/smc/hypervisor.yaml, if it is there]")
    var config: String?

    @Flag(help: "Read the configuration file, say what is wrong with it, and do nothing else.")
    var checkConfig = false

    @Option(help: "Where to listen. Its directory must be yours. [default: where your programs look]")
    var socket: String?

    @Option(help: "Memory to take, in bytes or with K, M or G. [default: 1/16 of what there is, 16M to 256M]")
    var pool: ByteCount?

    @Option(
        help: """
            Name of a group of programs; repeat it for more. The first is for programs that ask for none. [default: \
            default]
            """)
    var vlan: [VLANArgument] = []

    @Option(help: "Write each grant, refusal and administrative act to this file, as JSON lines.")
    var auditFile: String?

    @Option(help: "End when no program had joined for so many seconds. [default: never]")
    var idleTimeout: Int?

    @Flag(help: "Serve all users of this machine, not only yourself and root.")
    var everyone = false

    @Flag(help: "Go to the background: start the hypervisor as a process of its own and return.")
    var detach = false

    @Flag(name: .shortAndLong, help: "Log errors only.")
    var quiet = false

    @Option(help: "What to log: trace, debug, info, notice, warning, error. [default: info]")
    var logLevel: LogLevel?

    func validate() throws {
        if let idleTimeout, idleTimeout < 1 {
            throw ValidationError("--idle-timeout must be at least 1 second.")
        }
        if let auditFile, !auditFile.hasPrefix("/") {
            throw ValidationError("--audit-file takes a whole path, from / on.")
        }
        if config != nil, pool != nil || !vlan.isEmpty {
            throw ValidationError("--pool and --vlan do not go with --config: the file says both.")
        }
        if vlan.count > ControlLimits.vlansPerHypervisor || Set(vlan.map(\.id)).count != vlan.count {
            throw ValidationError("--vlan takes up to \(ControlLimits.vlansPerHypervisor) different names.")
        }
    }

    func run() throws {
        let source = ConfigurationSource(self)
        let settings: HypervisorSettings?
        do {
            settings = try source?.settings()
        } catch {
            complain("\(error)")
            throw Self.badConfiguration
        }
        if self.checkConfig { return try self.report(source) }
        if self.detach { return try self.startDetached() }
        var configuration = HypervisorConfiguration(
            socketPath: self.socket ?? settings?.socketPath ?? HypervisorLocator.Automatic.userSocketPath)
        configuration.idleTimeout = self.idleTimeout.map { .seconds($0) }
        configuration.handlesSignals = true
        if let settings { configuration.apply(settings) }
        if source == nil {
            configuration.settings = self.commandLineSettings
            configuration.allowedUsers = self.everyone ? .everyone : .ownerAndRoot
        } else {
            configuration.readSettings = { [source] in source?.result ?? .failure(SettingsRefusal([])) }
        }
        if let pool { configuration.poolByteCount = pool.value }
        var logger = Logger(label: "smc.hypervisor") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = self.logLevel(settings)
        do {
            try HypervisorDaemon(configuration: configuration, logger: logger).run()
        } catch let error as HypervisorStartError {
            FileHandle.standardError.write(Data("smc hypervisor: \(error)\n".utf8))
            if case .alreadyRunning = error {
                let hint =
                    "one that a program started for itself ends when no program has used it for 30 s, or by SIGTERM"
                FileHandle.standardError.write(Data("  \(hint); 'smc status' shows its process\n".utf8))
                throw ExitCode(5)
            }
            throw ExitCode(1)
        }
    }

    /// The configuration file cannot be used (EX_CONFIG of sysexits.h).
    static let badConfiguration = ExitCode(78)

    private func report(_ source: ConfigurationSource?) throws {
        guard let source else {
            throw ValidationError("there is no configuration file to check; name one with --config")
        }
        if !self.quiet { print("\(source.path): good") }
    }

    private func logLevel(_ settings: HypervisorSettings?) -> Logger.Level {
        if self.quiet { return .error }
        return self.logLevel?.level ?? settings?.logLevel.flatMap { Logger.Level(rawValue: $0.rawValue) } ?? .info
    }

    /// What the options say, where there is no file.
    private var commandLineSettings: HypervisorSettings {
        var settings = HypervisorSettings()
        if !self.vlan.isEmpty { settings.vlans = self.vlan.map { VLANDefinition($0.id) } }
        settings.auditPath = self.auditFile
        return settings
    }

    /// The same command without `--detach`, in a session of its own and as a child of nobody who waits for it.
    private func startDetached() throws {
        let arguments = CommandLine.arguments.dropFirst().filter { $0 != "--detach" }
        guard let executable = SMCSystem.Process.executablePath else {
            throw ValidationError("cannot find the path of this program; is /proc mounted?")
        }
        _ = try SMCSystem.Process.spawnDetached(executable, arguments: Array(arguments))
    }
}

/// A number of bytes as people write it.
struct ByteCount: ExpressibleByArgument {
    let value: Int

    init(value: Int) {
        self.value = value
    }

    var defaultValueDescription: String { "\(self.value)" }

    init?(argument: String) {
        guard let value = ByteCountText.parse(argument) else { return nil }
        self.value = value
    }
}

struct VLANArgument: ExpressibleByArgument {
    let id: VLANID

    init(id: VLANID) {
        self.id = id
    }

    init?(argument: String) {
        guard let id = VLANID(argument) else { return nil }
        self.id = id
    }

    var defaultValueDescription: String {
        self.id.name
    }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, notice, warning, error

    var level: Logger.Level {
        Logger.Level(rawValue: self.rawValue) ?? .info
    }
}
