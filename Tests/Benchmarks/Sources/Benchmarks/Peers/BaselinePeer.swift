import CBaseline
import Foundation

/// Runs what is written in C.
struct BaselinePeer {
    let command: PeerCommand

    func run() throws {
        switch self.command.contender {
        case .ring: try self.runRing()
        case .line, .futex: try self.runMemory()
        case .memcpy:
            let count = UInt64(self.command.count)
            self.command.sayResult(nanoseconds: try check(baseline_memcpy(self.command.size, count), "copy"))
        case .unixStream: try self.runSocket(kind: 0)
        case .unixSeqpacket: try self.runSocket(kind: 1)
        case .tcp: try self.runSocket(kind: 2)
        case .pipe: try self.runPipe()
        case .ours, .unchecked, .ucxTag, .ucxStream, .ucxActiveMessage:
            throw BenchmarkError("\(self.command.contender.title) is not one of ours")
        }
    }

    private func runRing() throws {
        guard let ring = baseline_ring_open(self.command.place, self.command.serves ? 1 : 0) else {
            throw BenchmarkError("cannot map the ring at \(self.command.place)")
        }
        let (size, count) = (self.command.size, UInt64(self.command.count))
        if self.command.serves {
            self.command.sayReady()
            self.command.pattern == .stream
                ? baseline_ring_serve_stream(ring, size, count) : baseline_ring_serve_ping(ring, size, count)
        } else {
            self.command.sayResult(
                nanoseconds: self.command.pattern == .stream
                    ? baseline_ring_stream(ring, size, count) : baseline_ring_ping(ring, size, count))
        }
    }

    private func runMemory() throws {
        guard let memory = baseline_map(self.command.place, baseline_ring_memory_size) else {
            throw BenchmarkError("cannot map \(self.command.place)")
        }
        let count = UInt64(self.command.count)
        switch (self.command.contender, self.command.serves) {
        case (.line, true):
            self.command.sayReady()
            baseline_line_serve(memory, count)
        case (.line, false):
            self.command.sayResult(nanoseconds: baseline_line_ping(memory, count))
        case (_, true):
            self.command.sayReady()
            var delays = [Int64](repeating: 0, count: self.command.count)
            try check(baseline_futex_serve(memory, count, &delays), "wait on a futex")
            self.command.sayResult(median: delays)
        case (_, false):
            try check(baseline_futex_wake(memory, count, Self.wakePause), "wake a futex")
        }
    }

    /// Nanoseconds in which the peer falls asleep before it is woken.
    static let wakePause: Int64 = 1_000_000

    private func runSocket(kind: Int32) throws {
        if self.command.serves {
            var port: Int32 = 0
            let listener = try check(Int64(baseline_listen(kind, self.command.place, &port)), "listen")
            self.command.sayReady(port: Int(port))
            let socket = Int32(try check(Int64(baseline_accept(kind, Int32(listener))), "accept"))
            try self.runFiles(in: socket, out: socket)
        } else {
            let connected = baseline_connect(kind, self.command.place, Int32(self.command.port))
            let socket = Int32(try check(Int64(connected), "connect"))
            try self.runFiles(in: socket, out: socket)
        }
    }

    private func runPipe() throws {
        if self.command.serves { self.command.sayReady() }
        // Opening waits for the other end, so both open the same one first.
        let names = [".there", ".back"].map { self.command.place + $0 }
        let first = try check(Int64(baseline_open_pipe(names[0], self.command.serves ? 0 : 1)), "open a pipe")
        let second = try check(Int64(baseline_open_pipe(names[1], self.command.serves ? 1 : 0)), "open a pipe")
        let (input, output) = self.command.serves ? (first, second) : (second, first)
        try self.runFiles(in: Int32(input), out: Int32(output))
    }

    private func runFiles(in input: Int32, out output: Int32) throws {
        let (size, count) = (self.command.size, UInt64(self.command.count))
        let streams = self.command.pattern == .stream
        if self.command.serves {
            let result =
                streams
                ? baseline_file_serve_stream(input, output, size, count)
                : baseline_file_serve_ping(input, output, size, count)
            try check(result, "serve")
        } else {
            let elapsed =
                streams
                ? baseline_file_stream(input, output, size, count) : baseline_file_ping(input, output, size, count)
            self.command.sayResult(nanoseconds: try check(elapsed, "measure"))
        }
    }
}
