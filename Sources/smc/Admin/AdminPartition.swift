import ArgumentParser
import SMCControl
import SMCSystem
import SMCWire

struct AdminPartition: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "partition", abstract: "Say who may join under which name.",
        subcommands: [Create.self, Change.self, Destroy.self, List.self])

    struct Accounts: ParsableArguments {
        @Option(help: "A user who may use the name, by name or number; repeat it for more.") var user: [String] = []
        @Option(help: "A group whose members may use it; repeat it for more.") var group: [String] = []

        @Option(help: "Bytes that all who use the name may use together, on all VLANs. [default: no limit]")
        var limit: ByteCount?

        func validate() throws {
            guard !self.user.isEmpty || !self.group.isEmpty else {
                throw ValidationError("give at least one --user or --group")
            }
        }

        func definition(_ name: String) throws -> PartitionDefinition {
            PartitionDefinition(
                name: name,
                userIDs: try AdminOptions.numbers(self.user, "user") { (name) throws(SystemCallError) in
                    try SMCSystem.Accounts.userID(named: name)
                },
                groupIDs: try AdminOptions.numbers(self.group, "group") { (name) throws(SystemCallError) in
                    try SMCSystem.Accounts.groupID(named: name)
                }, limitByteCount: self.limit?.value)
        }
    }

    struct Create: AdministrativeVerb {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Reserve a name for some users and groups.")

        @Argument(help: "The name.", transform: partitionName) var name: String
        @OptionGroup var accounts: Accounts
        @OptionGroup var options: AdminOptions

        var report: String { "partition \(self.name) created" }

        func request(_ session: HypervisorSession) throws -> AdministrativeRequest {
            .createPartition(try self.accounts.definition(self.name))
        }
    }

    struct Change: AdministrativeVerb {
        static let configuration = CommandConfiguration(
            commandName: "change", abstract: "Say anew who may use a name; sessions that use it go on.")

        @Argument(help: "The name.", transform: partitionName) var name: String
        @OptionGroup var accounts: Accounts
        @OptionGroup var options: AdminOptions

        var report: String { "partition \(self.name) changed" }

        func request(_ session: HypervisorSession) throws -> AdministrativeRequest {
            .changePartition(try self.accounts.definition(self.name))
        }
    }

    struct Destroy: AdministrativeVerb {
        static let configuration = CommandConfiguration(
            commandName: "destroy", abstract: "Make a name free again.")

        @Argument(help: "The name.", transform: partitionName) var name: String
        @Flag(help: "Even if it is in use: its sessions lose their addresses.") var force = false
        @OptionGroup var options: AdminOptions

        var report: String { "partition \(self.name) destroyed" }

        func request(_ session: HypervisorSession) -> AdministrativeRequest {
            .destroyPartition(self.name, isForced: self.force)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the names that are reserved, and where they may go.")

        @OptionGroup var options: AdminOptions

        func run() throws {
            try show(self.options, \.definitionTable, "definitions", "authorisations")
        }
    }
}

/// The name of a partition, as the hypervisor takes it.
func partitionName(_ argument: String) throws -> String {
    guard (1...ControlLimits.nameByteCount).contains(argument.utf8.count) else {
        throw ValidationError("the name of a partition has 1 to \(ControlLimits.nameByteCount) bytes")
    }
    return argument
}

struct AdminAuthorise: AdministrativeVerb {
    static let configuration = CommandConfiguration(
        commandName: "authorise", abstract: "Let a partition onto a VLAN, or change its limit there.")

    @Argument(help: "The partition.", transform: partitionName) var partition: String
    @Argument(help: "The VLAN.") var vlan: VLANArgument
    @Option(help: "Bytes that it may use there. [default: what the VLAN gives to each partition]")
    var limit: ByteCount?
    @OptionGroup var options: AdminOptions

    var report: String { "partition \(self.partition) authorised on \(self.vlan.id)" }

    func request(_ session: HypervisorSession) -> AdministrativeRequest {
        .authorise(
            Authorisation(partition: self.partition, vlan: self.vlan.id, limitByteCount: self.limit?.value))
    }
}

struct AdminRevoke: AdministrativeVerb {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a partition off a VLAN: its addresses and tokens there end at once.")

    @Argument(help: "The partition.", transform: partitionName) var partition: String
    @Argument(help: "The VLAN.") var vlan: VLANArgument
    @OptionGroup var options: AdminOptions

    var report: String { "partition \(self.partition) revoked from \(self.vlan.id)" }

    func request(_ session: HypervisorSession) -> AdministrativeRequest {
        .revoke(partition: self.partition, self.vlan.id)
    }
}
