import ArgumentParser
import SMC
import SMCSystem

/// `smc connect`: standard input to a listener, the listener to standard output.
struct ConnectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect to a listener, and pipe standard input and output through the connection.",
        discussion: """
            The fastest path that both ends have is taken: shared memory on one machine, RDMA between machines, else TCP. \
            The end of standard input is passed on; the command ends when the peer has ended its direction too.

            Examples:
              smc connect db-1:7000 < request > answer
              smc connect --require rdma 10.0.0.2:7000 < disk.img
              smc connect --require tcp example.org:80         any TCP server

            """ + Exit.help)

    @Argument(
        help: "Where to connect to: HOST:PORT. HOST may be a name, an IPv4 address, or an IPv6 address in brackets.",
        transform: Endpoint.remote)
    var endpoint: Endpoint

    @OptionGroup var paths: PathOptions

    @Flag(help: "Print one JSON object as the last line of standard error: path, reason, bytes, seconds, peer.")
    var json = false

    @Flag(name: .shortAndLong, help: "Say nothing unless something goes wrong.")
    var quiet = false

    func run() async throws {
        let host = self.endpoint.host ?? "localhost"
        do {
            let partition = try await Partition.join(self.paths.configuration(name: "smc connect"))
            let connection = try await partition.connect(to: host, port: self.endpoint.port)
            try await pipe(connection, self.paths, isJSON: self.json, isQuiet: self.quiet)
            await partition.leave()
        } catch let error as SMCError {
            throw fail(error, isJSON: self.json)
        }
    }
}
