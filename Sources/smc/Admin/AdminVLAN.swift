import ArgumentParser
import SMCControl
import SMCWire

struct AdminVLAN: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlan", abstract: "Create, change, destroy and list VLANs.",
        subcommands: [Create.self, Change.self, Destroy.self, List.self])

    enum Access: String, ExpressibleByArgument, CaseIterable {
        case open, authorised

        var value: VLANDefinition.Access { self == .open ? .open : .authorised }
    }

    struct Create: AdministrativeVerb {
        static let configuration = CommandConfiguration(commandName: "create", abstract: "Create a VLAN.")

        @Argument(help: "Its name.") var name: VLANArgument
        @Option(help: "The pool that its memory comes from.") var pool: PoolArgument = PoolArgument(id: .default)
        @Option(help: "Bytes of the pool that it may use. [default: all]") var slice: ByteCount?
        @Option(help: "Bytes that one partition may use. [default: the slice]") var partitionLimit: ByteCount?
        @Option(help: "Who may join: all ('open'), or those who were authorised.") var access: Access = .open
        @Flag(help: "Leave the shared memory function off.") var disabled = false
        @OptionGroup var options: AdminOptions

        var report: String { "VLAN \(self.name.id) created" }

        func request(_ session: HypervisorSession) -> AdministrativeRequest {
            .createVLAN(
                VLANDefinition(
                    self.name.id, pool: self.pool.id, sliceByteCount: self.slice?.value,
                    partitionLimitByteCount: self.partitionLimit?.value, access: self.access.value,
                    isEnabled: !self.disabled))
        }
    }

    struct Change: AdministrativeVerb {
        static let configuration = CommandConfiguration(
            commandName: "change", abstract: "Change a VLAN; what is not named stays as it is.")

        @Argument(help: "Its name.") var name: VLANArgument
        @Option(help: "Bytes of the pool that it may use.") var slice: ByteCount?
        @Option(help: "Bytes that one partition may use.") var partitionLimit: ByteCount?
        @Option(help: "Who may join: all ('open'), or those who were authorised.") var access: Access?
        @OptionGroup var options: AdminOptions

        var report: String { "VLAN \(self.name.id) changed" }

        func request(_ session: HypervisorSession) throws -> AdministrativeRequest {
            var definition = try session.status().definition(self.name.id)
            if let slice { definition.sliceByteCount = slice.value }
            if let partitionLimit { definition.partitionLimitByteCount = partitionLimit.value }
            if let access { definition.access = access.value }
            return .changeVLAN(definition)
        }
    }

    struct Destroy: AdministrativeVerb {
        static let configuration = CommandConfiguration(commandName: "destroy", abstract: "Destroy a VLAN.")

        @Argument(help: "Its name.") var name: VLANArgument
        @Flag(help: "Even if partitions are on it: they lose their addresses there.") var force = false
        @OptionGroup var options: AdminOptions

        var report: String { "VLAN \(self.name.id) destroyed" }

        func request(_ session: HypervisorSession) -> AdministrativeRequest {
            .destroyVLAN(self.name.id, isForced: self.force)
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the VLANs, and how much memory they use.")

        @OptionGroup var options: AdminOptions

        func run() throws {
            try show(self.options, \.vlanTable, "vlans")
        }
    }
}

/// The function as a whole, or on one VLAN.
struct AdminEnable: AdministrativeVerb {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Switch the shared memory function on.")

    @Argument(help: "On this VLAN. [default: on the whole machine]") var vlan: VLANArgument?
    @OptionGroup var options: AdminOptions

    var report: String { "shared memory enabled\(self.vlan.map { " on \($0.id)" } ?? "")" }

    func request(_ session: HypervisorSession) -> AdministrativeRequest {
        .setFunction(isEnabled: true, self.vlan?.id)
    }
}

struct AdminDisable: AdministrativeVerb {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Switch the shared memory function off; what is shared there ends.")

    @Argument(help: "On this VLAN. [default: on the whole machine]") var vlan: VLANArgument?
    @OptionGroup var options: AdminOptions

    var report: String { "shared memory disabled\(self.vlan.map { " on \($0.id)" } ?? "")" }

    func request(_ session: HypervisorSession) -> AdministrativeRequest {
        .setFunction(isEnabled: false, self.vlan?.id)
    }
}

struct AdminSlice: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slice", abstract: "Say how much of its pool a VLAN may use.", subcommands: [Set.self, Free.self])

    struct Set: AdministrativeVerb {
        static let configuration = CommandConfiguration(commandName: "set", abstract: "Set the slice of a VLAN.")

        @Argument(help: "The VLAN.") var vlan: VLANArgument
        @Argument(help: "Bytes, or a number with K, M or G.") var size: ByteCount
        @OptionGroup var options: AdminOptions

        var report: String { "VLAN \(self.vlan.id) may use \(self.size.value) bytes" }

        func request(_ session: HypervisorSession) -> AdministrativeRequest {
            .setSlice(self.vlan.id, byteCount: self.size.value)
        }
    }

    struct Free: AdministrativeVerb {
        static let configuration = CommandConfiguration(
            commandName: "free", abstract: "Let a VLAN use all of its pool again.")

        @Argument(help: "The VLAN.") var vlan: VLANArgument
        @OptionGroup var options: AdminOptions

        var report: String { "VLAN \(self.vlan.id) may use all of its pool" }

        func request(_ session: HypervisorSession) -> AdministrativeRequest {
            .setSlice(self.vlan.id, byteCount: nil)
        }
    }
}
