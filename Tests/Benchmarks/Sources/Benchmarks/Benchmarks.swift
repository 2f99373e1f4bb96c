import ArgumentParser

/// Measures swift-smc beside others, in one interleaved run. Docs/Benchmarks.md explains every row.
@main
struct Benchmarks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Benchmarks",
        abstract: "Measure swift-smc beside UCX, sockets, pipes and plain C on this machine.",
        subcommands: [RunCommand.self, BudgetsCommand.self, PeerCommand.self, HotPathCommand.self],
        defaultSubcommand: RunCommand.self)
}
