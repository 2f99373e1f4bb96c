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
        // What became of other paths is of no interest to somebody who insists on this one.
        let refusals = connection.decision.refusals.filter { $0.path == required.path }
        var remedies: [String] = []
        for remedy in refusals.compactMap(\.remedy) where !remedies.contains(remedy) { remedies.append(remedy) }
        let reason = refusals.isEmpty ? "the peer preferred it" : refusals.map(\.detail).joined(separator: "; ")
        let remedy = remedies.isEmpty ? "" : " (\(remedies.joined(separator: "; ")))"
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
struct Endpoint {
    var host: String?
    var port: Int

    /// Where to connect to.
    static func remote(_ argument: String) throws -> Endpoint {
        let endpoint = try Endpoint(argument)
        guard endpoint.port > 0 else { throw ValidationError("nobody can listen on port 0") }
        return endpoint
    }

    /// Where to listen.
    static func local(_ argument: String) throws -> Endpoint {
        try Endpoint(argument)
    }

    private init(_ argument: String) throws {
        var hostText: Substring?
        var portText = Substring(argument)
        if let colon = argument.lastIndex(of: ":") {
            hostText = argument[..<colon]
            portText = argument[argument.index(after: colon)...]
        }
        guard let port = Int(portText), (0...65535).contains(port) else {
            throw ValidationError(
                "'\(portText)' is no port: give HOST:PORT, for example localhost:7000, with a PORT up to 65535")
        }
        self.port = port
        guard var host = hostText, !host.isEmpty else { return }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw ValidationError("put an IPv6 address into brackets, [fe80::1]:7000, to tell it from the port")
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

    /// What to do about a library error; empty when the error says enough.
    static func hint(_ error: SMCError) -> String {
        switch error.code {
        case .handshakeFailed: " (if it is a plain TCP server, use --require tcp)"
        default: ""
        }
    }

    /// The code for a library error.
    static func code(_ error: SMCError) -> ExitCode {
        switch error.code {
        case .unknownHost, .cannotConnect, .cannotListen, .handshakeFailed: Self.noConnection
        case .invalidConfiguration: .validationFailure
        default: Self.connectionBroke
        }
    }
}
