import ArgumentParser

@main
struct SMCCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smc", abstract: "Shared Memory Communications: memory on one machine, RDMA between machines.",
        discussion: """
            Start 'smc listen 7000' in one window and 'smc connect localhost:7000' in another, and type.
            """,
        subcommands: [
            ListenCommand.self, ConnectCommand.self, PingCommand.self, StatusCommand.self, HypervisorCommand.self,
        ])
}
