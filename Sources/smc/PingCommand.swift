import ArgumentParser
import Foundation
import Histogram
import SMC
import SMCSystem
import Synchronization

/// `smc ping`: round trips with an echo, measured and checked.
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "Send messages to 'smc listen --echo' and measure how long they take to come back.",
        discussion: """
            Every byte that comes back is compared with what was sent. A round trip is measured from before sending to \
            after the last byte came back; the next one begins then (so a stall delays, and hides, those behind it).

            Examples:
              smc ping localhost:7000
              smc ping --connections 200 --size 1M --count 1 localhost:7000

            """ + Exit.help)

    @Argument(help: "Where 'smc listen --echo' listens: HOST:PORT.", transform: Endpoint.remote)
    var endpoint: Endpoint

    @OptionGroup var paths: PathOptions

    @Option(help: "Bytes of a message; K and M may follow.")
    var size = ByteCount(value: 64)

    @Option(help: "Round trips to measure on each connection.")
    var count = 10_000

    @Option(help: "Round trips before that, not measured. [default: as many as are measured, at most 100]")
    var warmup: Int?

    @Option(help: "Connections at the same time.")
    var connections = 1

    @Flag(help: "Print the result as one JSON object on standard output.")
    var json = false

    func validate() throws {
        guard self.count > 0, self.warmup ?? 0 >= 0, self.connections > 0 else {
            throw ValidationError("--count and --connections must be at least 1, --warmup at least 0")
        }
        guard max(self.count, self.warmup ?? 0) <= Self.roundTripsMax, self.connections <= Self.connectionsMax,
            self.size.value <= Self.byteCountMax
        else {
            throw ValidationError(
                "at most \(Self.roundTripsMax) round trips of at most 1G on \(Self.connectionsMax) connections")
        }
    }

    // Their product fits into 64 bits.
    private static let roundTripsMax = 10_000_000_000
    private static let connectionsMax = 65_536
    private static let byteCountMax = 1 << 30

    /// The result, as `--json` prints it.
    private struct Result: Encodable {
        var path: String
        var reason: String?
        var connections: Int
        var roundTrips: Int
        var size: Int
        var seconds: Double
        var bytesPerSecond: Double
        var microseconds: [String: Double]

        enum CodingKeys: CodingKey {
            case path, reason, connections, roundTrips, size, seconds, bytesPerSecond, microseconds
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(self.path, forKey: .path)
            try container.encode(self.reason, forKey: .reason)
            try container.encode(self.connections, forKey: .connections)
            try container.encode(self.roundTrips, forKey: .roundTrips)
            try container.encode(self.size, forKey: .size)
            try container.encode(self.seconds, forKey: .seconds)
            try container.encode(self.bytesPerSecond, forKey: .bytesPerSecond)
            try container.encode(self.microseconds, forKey: .microseconds)
        }
    }

    func run() async throws {
        let host = self.endpoint.host ?? "localhost"
        do {
            let partition = try await Partition.join(self.paths.configuration(name: "smc ping"))
            let connections = try await self.connectAll(partition, host)
            for connection in connections {
                guard let complaint = self.paths.complaint(about: connection) else { continue }
                complain(complaint)
                throw Exit.otherPath
            }
            let start = ContinuousClock.now
            let histogram = try await self.measureAll(connections).histogram.withLock { $0 }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            self.show(connections[0], histogram, seconds)
            for connection in connections { await connection.close() }
            await partition.leave()
        } catch let error as SMCError {
            throw fail(error, isJSON: false)
        }
    }

    private func connectAll(_ partition: Partition, _ host: String) async throws(SMCError) -> [Connection] {
        let results = await withTaskGroup(of: Swift.Result<Connection, SMCError>.self) { group in
            for _ in 0..<self.connections {
                group.addTask {
                    do throws(SMCError) {
                        return .success(try await partition.connect(to: host, port: self.endpoint.port))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var connections: [Connection] = []
        for result in results { connections.append(try result.get()) }
        return connections
    }

    /// Round trips of all connections. One histogram with its final size: growing one is slow enough to be measured, and
    /// would delay the other connections.
    private final class Times: Sendable {
        static let longestNanoseconds: UInt64 = 3_600_000_000_000
        let histogram = Mutex(
            Histogram<UInt64>(
                highestTrackableValue: Times.longestNanoseconds, numberOfSignificantValueDigits: .three))

        func record(_ time: Duration) {
            let nanoseconds = UInt64(max(1, time / .nanoseconds(1)))
            self.histogram.withLock { _ = $0.record(min(nanoseconds, Self.longestNanoseconds)) }
        }
    }

    private func measureAll(_ connections: [Connection]) async throws(SMCError) -> Times {
        let times = Times()
        let results = await withTaskGroup(of: Swift.Result<Void, SMCError>.self) { group in
            for (number, connection) in connections.enumerated() {
                group.addTask {
                    do throws(SMCError) {
                        return .success(try await self.measure(connection, number, times))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for result in results { try result.get() }
        return times
    }

    private func measure(_ connection: Connection, _ number: Int, _ times: Times) async throws(SMCError) {
        var message = (0..<self.size.value).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
        var answer = [UInt8](repeating: 0, count: self.size.value)
        let warmup = self.warmup ?? min(self.count, 100)
        for round in 0..<(warmup + self.count) {
            if !message.isEmpty { message[0] = UInt8(truncatingIfNeeded: round) }
            let start = ContinuousClock.now
            try await Self.exchange(connection, message, &answer)
            let time = ContinuousClock.now - start
            guard answer == message else {
                throw SMCError(.protocolViolation, "round trip \(round) on connection \(number) came back changed")
            }
            if round >= warmup { times.record(time) }
        }
        connection.finishSending()
    }

    /// A message out and back. What comes back is taken while the rest goes out, or both ends would wait for room.
    private static func exchange(
        _ connection: Connection, _ message: [UInt8], _ answer: inout [UInt8]
    ) async throws(SMCError) {
        let isSmall = message.count <= 16_384
        if isSmall {
            try await connection.send(message)
            try await Self.receiveAll(connection, &answer)
            return
        }
        async let sent: Void = connection.send(message)
        try await Self.receiveAll(connection, &answer)
        do {
            try await sent
        } catch let error as SMCError {
            throw error
        } catch {
            throw SMCError(.system, "\(error)", cause: error)
        }
    }

    private static func receiveAll(_ connection: Connection, _ answer: inout [UInt8]) async throws(SMCError) {
        var filled = 0
        let total = answer.count
        while filled < total {
            guard let count = try await connection.receive(into: &answer, from: filled) else {
                throw SMCError(.peerGone, "the peer ended the connection after \(filled) of \(total) bytes")
            }
            filled += count
        }
    }

    private func show(_ connection: Connection, _ histogram: Histogram<UInt64>, _ seconds: Double) {
        let percentiles: [(String, Double)] = [
            ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9), ("max", 100),
        ]
        var microseconds: [String: Double] = [:]
        for (name, percentile) in percentiles {
            microseconds[name] = Double(histogram.valueAtPercentile(percentile)) / 1000
        }
        let roundTrips = self.count * self.connections
        let rate = Double(2 * roundTrips * self.size.value) / seconds
        if self.json {
            StandardStream.output.write(
                jsonLine(
                    Result(
                        path: connection.path.rawValue, reason: connection.decision.reason,
                        connections: self.connections, roundTrips: roundTrips, size: self.size.value,
                        seconds: seconds, bytesPerSecond: rate, microseconds: microseconds)) + "\n")
            return
        }
        let times = percentiles.map { name, _ in String(format: "%@ %.2f", name, microseconds[name] ?? 0) }
        StandardStream.output.write(
            """
            \(connection.path.rawValue): \(roundTrips) round trips of \(Format.bytes(self.size.value)) \
            on \(self.connections) connection\(self.connections == 1 ? "" : "s"), all came back unchanged
            round trip in microseconds: \(times.joined(separator: "  "))

            """)
        if let reason = connection.decision.reason { StandardStream.output.write("no faster path: \(reason)\n") }
    }
}
