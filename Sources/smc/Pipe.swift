import ArgumentParser
import Foundation
import SMC
import SMCSystem

/// Joins a connection with standard input and output: input goes to the peer, the peer to output, each direction ending
/// by itself.
struct Pipe {
    let connection: Connection
    let isJSON: Bool
    let isQuiet: Bool

    /// What ended one of the directions badly.
    private enum Failure: Error {
        case connection(SMCError)
        case local(SystemCallError)
    }

    private static let bufferByteCount = 262_144

    /// Runs until both directions have ended.
    ///
    /// - Throws: `ExitCode` after having said what was wrong.
    func run() async throws {
        let report = Report(self.connection)
        let showsProgress = StandardStream.error.isTerminal && !self.isJSON && !self.isQuiet
        let progress = showsProgress ? report.showProgress() : nil
        let connection = self.connection
        // The first failure is told at once, whatever the other direction waits for: nobody can interrupt a thread that
        // waits for standard input.
        let (ends, continuation) = AsyncStream<Failure?>.makeStream()
        onThread("smc-input", continuation) { () throws(Failure) in try Self.pumpInput(connection, report) }
        onThread("smc-output", continuation) { () throws(Failure) in try Self.pumpOutput(connection, report) }
        var failure: Failure?
        for await end in ends.prefix(2) {
            failure = end
            if failure != nil { break }
        }
        progress?.cancel()
        if showsProgress { StandardStream.error.write("\r\u{1b}[K") }
        if failure == nil { await connection.close() } else { connection.abort() }
        try self.finish(report, failure)
    }

    private func finish(_ report: Report, _ failure: Failure?) throws {
        var code = ExitCode.success
        var text: String?
        switch failure {
        case nil: break
        case .connection(let error):
            code = Exit.code(error)
            text = "the connection to \(self.connection.peerAddress) broke: \(error)"
        case .local(let error):
            code = Exit.failure
            text = "\(error)"
        }
        if let text { complain(self.isJSON || self.isQuiet ? text : "\(text) (\(report.line()))") }
        if self.isJSON {
            StandardStream.error.write(report.json(error: text) + "\n")
        } else if !self.isQuiet, text == nil {
            StandardStream.error.write(report.line() + "\n")
            if self.connection.path != .sharedMemory, let reason = self.connection.decision.reason {
                StandardStream.error.write("  no faster path: \(reason)\n")
            }
        }
        // A thread may still wait for standard input, which nobody can interrupt: leave without it.
        if code != .success { Foundation.exit(code.rawValue) }
    }

    private static func pumpInput(_ connection: Connection, _ report: Report) throws(Failure) {
        var buffer = [UInt8](repeating: 0, count: Self.bufferByteCount)
        while true {
            let count: Int
            do throws(SystemCallError) {
                var span = buffer.mutableSpan
                // SAFETY: any bytes are valid UInt8 values.
                var raw = unsafe span.mutableBytes
                count = try unsafe raw.withUnsafeMutableBytes { (bytes) throws(SystemCallError) in
                    try unsafe StandardStream.input.read(into: bytes)
                }
            } catch {
                throw Failure.local(error)
            }
            guard count > 0 else { break }
            do throws(SMCError) {
                // SAFETY: the array is held by this function.
                try unsafe connection.sendBlocking(buffer.span.bytes.extracting(first: count))
            } catch {
                throw Failure.connection(error)
            }
            report.didSend(count)
        }
        connection.finishSending()
    }

    private static func pumpOutput(_ connection: Connection, _ report: Report) throws(Failure) {
        var buffer = [UInt8](repeating: 0, count: Self.bufferByteCount)
        while true {
            let received: Int?
            do throws(SMCError) {
                var span = buffer.mutableSpan
                // SAFETY: any bytes are valid UInt8 values.
                var raw = unsafe span.mutableBytes
                received = try connection.receiveBlocking(into: &raw)
            } catch {
                throw Failure.connection(error)
            }
            guard let count = received else { return }
            report.didReceive(count)
            do throws(SystemCallError) {
                // SAFETY: the array is held by this function.
                try unsafe buffer.span.bytes.extracting(first: count).withUnsafeBytes {
                    (bytes) throws(SystemCallError) in try unsafe StandardStream.output.write(bytes)
                }
            } catch {
                throw Failure.local(error)
            }
        }
    }
}

/// Runs blocking work on a thread of its own; yields how it ended, nil when all went well.
private func onThread<Failure: Error>(
    _ name: String, _ end: AsyncStream<Failure?>.Continuation, _ body: @escaping @Sendable () throws(Failure) -> Void
) {
    SystemThread.start(name: name) {
        do throws(Failure) {
            try body()
            end.yield(nil)
        } catch {
            end.yield(error)
        }
    }
}
