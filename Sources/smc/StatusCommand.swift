import ArgumentParser
import Foundation
import SMCControl
import SMCWire

/// `smc status`: the hypervisor's books for people and for scripts.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who shares memory with whom, and what every connection runs on.",
        discussion: """
            Asks the system's hypervisor, else your own. It starts none: when nobody uses shared memory there is \
            nothing to show.

            Exit codes: 0 shown, 6 there is no hypervisor.
            """)

    /// There is no hypervisor to ask.
    static let noHypervisor = ExitCode(6)

    @Option(help: "Ask the hypervisor that listens there.")
    var socket: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let status: HypervisorStatus
        do throws(ControlError) {
            var automatic = HypervisorLocator.Automatic()
            automatic.startsHypervisor = false
            let locator = socket.map { HypervisorLocator.socket($0) } ?? .automatic(automatic)
            status = try locator.connect().status()
        } catch {
            FileHandle.standardError.write(Data("smc status: \(error)\n".utf8))
            if case .unavailable = error { throw Self.noHypervisor }
            throw ExitCode.failure
        }
        if json {
            try printJSON(status.json)
        } else {
            print(status.tables)
        }
    }
}
