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

    private enum Direction {
        case input, output
    }

    /// Runs until both directions have ended, or one of them failed.
    ///
    /// - Returns: how the command is to end, after having said what was wrong.
    func run() async -> ExitCode {
        let report = Report(self.connection)
        let showsProgress = StandardStream.error.isTerminal && !self.isJSON && !self.isQuiet
        let progress = showsProgress ? report.showProgress() : nil
        let failure = await self.pump(report)
        progress?.cancel()
        if showsProgress { StandardStream.error.write("\r\u{1b}[K") }
        if failure == nil {
            await self.connection.close()
        } else {
            self.connection.abort()
        }
        return self.finish(report, failure)
    }

    /// Both directions on threads of their own, because standard input and output block. A thread that waits for
    /// standard input cannot be interrupted: when the rest is over it is left behind, and ends with the process.
    private func pump(_ report: Report) async -> Failure? {
        let connection = self.connection
        let (ends, continuation) = AsyncStream<(Direction, Failure?)>.makeStream()
        SystemThread.start(name: "smc-input") {
            continuation.yield((.input, Self.failure { () throws(Failure) in try Self.pumpInput(connection, report) }))
        }
        SystemThread.start(name: "smc-output") {
            continuation.yield(
                (.output, Self.failure { () throws(Failure) in try Self.pumpOutput(connection, report) }))
        }
        // A peer that has closed takes nothing any more, whatever may still be typed: looked at now and then.
        let watch = Task {
            while !connection.isClosedByPeer { try await Task.sleep(for: .milliseconds(200)) }
            // A direction that fails for the same reason tells so itself, at once.
            try await Task.sleep(for: .milliseconds(100))
            continuation.yield((.input, nil))
        }
        defer { watch.cancel() }
        var open: Set<Direction> = [.input, .output]
        var broken: Failure?
        for await (direction, failure) in ends {
            open.remove(direction)
            switch failure {
            case nil: break
            // What the peer had sent before it died is still there: the other direction ends when it has been read.
            case .connection where direction == .input && !open.isEmpty: broken = failure
            case .some(let failure): return failure
            }
            if open.isEmpty { return broken }
        }
        return broken
    }

    private static func failure(_ body: () throws(Failure) -> Void) -> Failure? {
        do throws(Failure) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    private func finish(_ report: Report, _ failure: Failure?) -> ExitCode {
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
            if let reason = self.connection.decision.reason {
                StandardStream.error.write("  no faster path: \(reason)\n")
            }
        }
        return code
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
