import ArgumentParser
import SMC

/// Options of every command that sets up connections.
struct PathOptions: ParsableArguments {
    @Option(help: "The path that must be taken: shm, rdma or tcp. If it is another, say why and exit with 3.")
    var require: RequiredPath?

    @Option(help: "The hypervisor: 'auto' finds or starts one, 'none' does without shared memory, else its socket.")
    var hypervisor = "auto"

    @Option(help: "Join this VLAN; repeat it for more. [default: the hypervisor's default VLAN]")
    var vlan: [String] = []

    @Option(help: "Name under which hosts share RDMA (UEID); repeat it for more. [default: SWIFT-SMC]")
    var ueid: [String] = []

    @Option(help: "Seconds that setting up a connection may take.")
    var timeout = 10

    func validate() throws {
        guard self.timeout > 0 else { throw ValidationError("--timeout must be at least 1 second") }
    }

    /// What this means for the library.
    func configuration(name: String) -> Configuration {
        var configuration = Configuration()
        configuration.name = name
        switch self.hypervisor {
        case "auto": configuration.hypervisor = .automatic
        case "none": configuration.hypervisor = .none
        default: configuration.hypervisor = .socket(self.hypervisor)
        }
        configuration.vlans = self.vlan
        if !self.ueid.isEmpty { configuration.userEIDs = self.ueid }
        if let required = self.require { configuration.paths = [required.path, .tcp] }
        configuration.handshakeTimeout = .seconds(self.timeout)
        return configuration
    }

    /// Whether the connection took the path that was asked for; if not, a line that says why.
    func complaint(about connection: Connection) -> String? {
        guard let required = self.require, connection.path != required.path else { return nil }
        let reason = connection.decision.reason ?? "the peer preferred it"
        let remedy = connection.decision.remedy.map { " (\($0))" } ?? ""
        return "path \(connection.path.rawValue) was taken, not \(required.path.rawValue): \(reason)\(remedy)"
    }
}

/// The names of paths on the command line.
enum RequiredPath: String, ExpressibleByArgument, CaseIterable {
    case shm, rdma, tcp

    var path: Path {
        switch self {
        case .shm: .sharedMemory
        case .rdma: .rdma
        case .tcp: .tcp
        }
    }
}

/// `HOST:PORT`, `[V6]:PORT` or just `PORT`.
struct Endpoint: ExpressibleByArgument {
    var host: String?
    var port: Int

    init?(argument: String) {
        var hostText: Substring?
        var portText = Substring(argument)
        if let colon = argument.lastIndex(of: ":") {
            hostText = argument[..<colon]
            portText = argument[argument.index(after: colon)...]
        }
        guard let port = Int(portText), (0...65535).contains(port) else { return nil }
        self.port = port
        guard var host = hostText, !host.isEmpty else { return }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil  // An IPv6 address without brackets: where does the port begin?
        }
        self.host = String(host)
    }
}

/// How the command ended, for scripts; documented in each command's help.
enum Exit {
    static let failure = ExitCode(1)
    /// Another path than the required one was taken.
    static let otherPath = ExitCode(3)
    /// The connection broke: the peer died or aborted.
    static let connectionBroke = ExitCode(4)
    /// No connection came about.
    static let noConnection = ExitCode(5)

    static let help = """
        Exit codes: 0 all went well, 1 a local failure such as a closed standard output, 3 another path than the required \
        one was taken, 4 the connection broke, 5 no connection came about, 64 wrong usage.
        """

    /// The code for a library error.
    static func code(_ error: SMCError) -> ExitCode {
        switch error.code {
        case .unknownHost, .cannotConnect, .cannotListen, .handshakeFailed: Self.noConnection
        case .invalidConfiguration: .validationFailure
        default: Self.connectionBroke
        }
    }
}
