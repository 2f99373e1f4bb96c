import ArgumentParser
import SMCControl
import SMCWire

struct AdminPool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool", abstract: "Change how much memory is reserved.",
        subcommands: [Grow.self, Shrink.self, List.self])

    struct Grow: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "grow", abstract: "Reserve more memory.")

        @Argument(help: "The pool.") var pool: PoolArgument
        @Argument(help: "Bytes to add, or a number with K, M or G.") var size: ByteCount
        @OptionGroup var options: AdminOptions

        func run() throws {
            let byteCount = try self.options.withSession { session throws(ControlError) in
                try session.growPool(self.pool.id, byteCount: self.size.value)
            }
            self.options.report("pool \(self.pool.id) has \(byteCount) bytes more", byteCount)
        }
    }

    struct Shrink: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "shrink", abstract: "Give memory that nobody has back to the system.")

        @Argument(help: "The pool.") var pool: PoolArgument
        @Argument(help: "Bytes to give back, or a number with K, M or G.") var size: ByteCount
        @OptionGroup var options: AdminOptions

        func run() throws {
            let byteCount = try self.options.withSession { session throws(ControlError) in
                try session.shrinkPool(self.pool.id, byteCount: self.size.value)
            }
            self.options.report("pool \(self.pool.id) has \(byteCount) bytes less", byteCount)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Show the pools.")

        @OptionGroup var options: AdminOptions

        func run() throws {
            try show(self.options, \.poolTable, "pools")
        }
    }
}

struct AdminAddress: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "address", abstract: "Show who is where.", subcommands: [List.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the partitions that have joined, with their SM-GIDs.")

        @OptionGroup var options: AdminOptions

        func run() throws {
            try show(self.options, \.partitionTable, "partitions")
        }
    }
}

struct AdminReload: AdministrativeVerb {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Have the configuration file read again.",
        discussion: "If it cannot be put into force as a whole, nothing of it is, and the reasons are shown.")

    @OptionGroup var options: AdminOptions

    // Names of users may have to be looked up on the network.
    var timeout: Duration { .seconds(60) }
    var report: String { "the configuration is in force" }

    func request(_ session: HypervisorSession) -> AdministrativeRequest {
        .reload
    }
}

struct PoolArgument: ExpressibleByArgument {
    let id: PoolID

    init(id: PoolID) {
        self.id = id
    }

    init?(argument: String) {
        guard let id = PoolID(argument) else { return nil }
        self.id = id
    }

    var defaultValueDescription: String {
        self.id.name
    }
}
