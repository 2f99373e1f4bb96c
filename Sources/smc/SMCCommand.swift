import ArgumentParser

@main
struct SMCCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smc", abstract: "Shared Memory Communications: memory on one machine, RDMA between machines.",
        subcommands: [HypervisorCommand.self, StatusCommand.self])
}
