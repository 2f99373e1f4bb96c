import ArgumentParser
import Foundation
import SMCSystem

@main
enum Program {
    /// Not asynchronous itself: the runtime would open descriptors before the first line here, and with a closed standard
    /// output one of them would get its number.
    static func main() {
        StandardStream.prepare()
        Task {
            await SMCCommand.main()
            Foundation.exit(EXIT_SUCCESS)
        }
        dispatchMain()
    }
}

struct SMCCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "smc", abstract: "Shared Memory Communications: memory on one machine, RDMA between machines.",
        discussion: """
            Start 'smc listen 7000' in one window and 'smc connect localhost:7000' in another, and type.
            """,
        subcommands: [
            ListenCommand.self, ConnectCommand.self, PingCommand.self, StatusCommand.self, HypervisorCommand.self,
            AdminCommand.self, SessionCommand.self,
        ])
}
