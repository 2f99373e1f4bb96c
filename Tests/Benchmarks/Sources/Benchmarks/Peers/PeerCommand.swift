import ArgumentParser
import CBaseline
import Foundation

/// One of the two processes of a measurement. It says `ready PORT` when the other may start, and the one that measures
/// `result NANOSECONDS`, for one operation.
struct PeerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peer", abstract: "One process of a measurement; started by the benchmark itself.",
        shouldDisplay: false)

    @Option var contender: Contender
    @Option var pattern: Pattern
    @Option var size: Int
    @Option var count: Int
    @Option(help: "The processor to run on; none: any.") var processor: Int?
    @Option(help: "A file of memory, a socket's path, a pipe's name or the hypervisor's socket.") var place: String
    @Option(help: "The server's port.") var port: Int = 0
    @Flag(help: "Whether it is the side that the other one starts with.") var serves = false

    func run() throws {
        baseline_print_by_line()
        baseline_end_with_parent()
        if let processor { try check(Int64(baseline_pin(Int32(processor))), "choose a processor") }
        if self.contender == .ours || self.contender == .unchecked {
            try waitForTask { try await OurPeer(command: self).run() }
        } else {
            try BaselinePeer(command: self).run()
        }
    }

    func sayReady(port: Int = 0) { print("ready \(port)") }

    /// - Parameter nanoseconds: of all steps together.
    func sayResult(nanoseconds: Int64) {
        print("result \(Double(nanoseconds) / Double(self.count) / self.pattern.operationsPerStep)")
    }

    func sayResult(median delays: [Int64]) {
        print("result \(Double(delays.sorted()[delays.count / 2]))")
    }
}

/// A measurement that could not be made.
struct BenchmarkError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

@discardableResult
func check(_ result: Int64, _ what: String) throws -> Int64 {
    guard result >= 0 else { throw BenchmarkError("cannot \(what): \(String(cString: strerror(Int32(-result))))") }
    return result
}
