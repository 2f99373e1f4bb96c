import ArgumentParser
import SMC
import SMCSystem

/// `smc listen`: the other end of `smc connect`.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Wait for a connection, and pipe standard input and output through it.",
        discussion: """
            Takes one connection and ends with it. Plain TCP clients are served as well.

            Examples:
              smc listen 7000 > received
              smc listen --echo 7000                           serve 'smc ping', any number of connections
              smc listen --require shm localhost:7000

            """ + Exit.help)

    @Argument(
        help: "Where to listen: [HOST:]PORT; without HOST on all addresses. Port 0 lets the system choose.",
        transform: Endpoint.local)
    var endpoint: Endpoint

    @OptionGroup var paths: PathOptions

    @Flag(help: "Send back what comes, for every connection, until interrupted.")
    var echo = false

    @Flag(help: "Print one JSON object as the last line of standard error: path, reason, bytes, seconds, peer.")
    var json = false

    @Flag(name: .shortAndLong, help: "Say nothing unless something goes wrong.")
    var quiet = false

    func run() async throws {
        do {
            let partition = try await Partition.join(self.paths.configuration(name: "smc listen"))
            let listener = try await partition.listen(on: self.endpoint.host, port: self.endpoint.port)
            listener.onHandshakeFailure { _, error in complain("\(error)") }
            if !self.quiet { StandardStream.error.write("smc: listening on \(listener.address)\n") }
            if self.echo {
                await self.serveEcho(listener)
            } else {
                var iterator = listener.makeAsyncIterator()
                guard let connection = await iterator.next() else { return }
                listener.close()
                try await pipe(connection, self.paths, isJSON: self.json, isQuiet: self.quiet)
            }
            await partition.leave()
        } catch let error as SMCError {
            throw fail(error, isJSON: self.json)
        }
    }

    private func serveEcho(_ listener: Listener) async {
        await withDiscardingTaskGroup { group in
            for await connection in listener {
                if let complaint = self.paths.complaint(about: connection) {
                    complain("\(connection.peerAddress): \(complaint)")
                    connection.abort()
                    continue
                }
                group.addTask { await Self.echo(connection) }
            }
        }
    }

    private static func echo(_ connection: Connection) async {
        do throws(SMCError) {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while let count = try await connection.receive(into: &buffer) {
                // SAFETY: the array is held by this function.
                try await unsafe connection.send(buffer.span.bytes.extracting(first: count))
            }
            connection.finishSending()
            await connection.close()
        } catch {
            complain("connection of \(connection.peerAddress) over \(connection.path.rawValue) broke: \(error)")
            connection.abort()
        }
    }
}

/// Checks the path, then joins the connection with standard input and output.
///
/// - Throws: `ExitCode` when the command is to end with another code than 0; what was wrong has been said.
func pipe(_ connection: Connection, _ paths: PathOptions, isJSON: Bool, isQuiet: Bool) async throws {
    if let complaint = paths.complaint(about: connection) {
        complain(complaint)
        if isJSON { StandardStream.error.write(Report(connection).json(error: complaint) + "\n") }
        await abandon(connection)
        throw Exit.otherPath
    }
    let code = await Pipe(connection: connection, isJSON: isJSON, isQuiet: isQuiet).run()
    guard code != .success else { return }
    await abandon(connection)
    throw code
}

/// Aborts, and gives the abort the moment that it needs to get out of the process.
func abandon(_ connection: Connection) async {
    connection.abort()
    try? await Task.sleep(for: .milliseconds(150))
}

/// Says what was wrong; gives the exit code for it.
func fail(_ error: SMCError, isJSON: Bool) -> ExitCode {
    complain(error.message + Exit.hint(error))
    if isJSON { StandardStream.error.write(jsonLine(["error": error.message, "code": error.code.rawValue]) + "\n") }
    return Exit.code(error)
}
