/// One line of the table: ours against a baseline, with what it should be.
struct Row {
    enum Goal {
        /// The ratio of times is at most this.
        case atMost(Double)
        /// The ratio of rates is at least this.
        case atLeast(Double)
        /// Only to be seen.
        case none
    }
    /// How values are shown; all measurements are nanoseconds for one operation.
    enum Unit: String {
        case nanoseconds = "ns"
        case gibibytesPerSecond = "GiB/s"
        case millionsPerSecond = "M/s"

        func value(nanoseconds: Double, size: Int) -> Double {
            switch self {
            case .nanoseconds: nanoseconds
            case .gibibytesPerSecond: Double(size) / nanoseconds * 1e9 / Double(1 << 30)
            case .millionsPerSecond: 1000 / nanoseconds
            }
        }
    }

    /// Short, for `--only`: a group of rows that are measured together.
    var group: String
    var name: String
    /// Nil when the interface that it needs is not there yet.
    var ours: Measurement?
    var baseline: Measurement
    var unit: Unit
    var goal: Goal

    init(
        _ group: String, _ name: String, _ ours: Measurement?, _ baseline: Measurement, _ unit: Unit = .nanoseconds,
        _ goal: Goal = .none
    ) {
        self.group = group
        self.name = name
        self.ours = ours
        self.baseline = baseline
        self.unit = unit
        self.goal = goal
    }

    static let all: [Row] = Self.latency + Self.throughput + Self.waiting

    private static func ours(_ pattern: Pattern, _ size: Int = 8) -> Measurement { Measurement(.ours, pattern, size) }

    private static let latency: [Row] = {
        var rows: [Row] = []
        for size in [8, 64] {
            let ours = Self.ours(.pingPong, size)
            rows += [
                Row(
                    "small", "\(size) B one-way vs UCX tag", ours, Measurement(.ucxTag, .pingPong, size),
                    goal: .atMost(0.5)),
                Row(
                    "small", "\(size) B one-way vs C ring", ours, Measurement(.ring, .pingPong, size),
                    goal: .atMost(1.1)),
            ]
        }
        return rows + [
            Row(
                "small", "8 B message one-way vs UCX tag", Self.ours(.messagePingPong),
                Measurement(.ucxTag, .pingPong)),
            Row("small", "8 B one-way vs UCX stream", Self.ours(.pingPong), Measurement(.ucxStream, .pingPong)),
            Row("small", "8 B one-way vs UCX am", Self.ours(.pingPong), Measurement(.ucxActiveMessage, .pingPong)),
            Row("small", "8 B one-way vs raw cache line", Self.ours(.pingPong), Measurement(.line, .pingPong)),
            Row(
                "async", "8 B one-way, await, adaptive, vs UCX tag", Self.ours(.asyncPingPong),
                Measurement(.ucxTag, .pingPong)),
            Row(
                "async", "8 B one-way, for try await, adaptive, vs UCX tag", nil, Measurement(.ucxTag, .pingPong),
                goal: .atMost(0.75)),
            Row(
                "page", "4 KiB one-way vs UCX tag", Self.ours(.pingPong, 4096), Measurement(.ucxTag, .pingPong, 4096),
                goal: .atMost(0.7)),
            Row("page", "4 KiB one-way vs C ring", Self.ours(.pingPong, 4096), Measurement(.ring, .pingPong, 4096)),
            Row(
                "kernel", "8 B round trip vs TCP loopback", Self.ours(.pingPong), Measurement(.tcp, .pingPong),
                goal: .atMost(1.0 / 40)),
            Row(
                "kernel", "8 B round trip vs Unix stream", Self.ours(.pingPong), Measurement(.unixStream, .pingPong),
                goal: .atMost(1.0 / 25)),
            Row(
                "kernel", "8 B round trip vs Unix seqpacket", Self.ours(.pingPong),
                Measurement(.unixSeqpacket, .pingPong)),
            Row("kernel", "8 B round trip vs pipes", Self.ours(.pingPong), Measurement(.pipe, .pingPong)),
        ]
    }()

    private static let throughput: [Row] = {
        let size = 65_536
        let ours = Self.ours(.stream, size)
        func row(_ group: String, _ name: String, _ contender: Contender, _ goal: Goal = .none) -> Row {
            Row(
                group, "64 KiB stream vs \(name)", ours, Measurement(contender, .stream, size), .gibibytesPerSecond,
                goal)
        }
        return [
            row("stream", "UCX stream", .ucxStream, .atLeast(1.15)),
            row("stream", "C ring", .ring, .atLeast(0.95)),
            row("stream", "UCX tag", .ucxTag),
            row("stream", "memcpy", .memcpy),
            row("kernel-stream", "TCP loopback", .tcp, .atLeast(8)),
            row("kernel-stream", "Unix stream", .unixStream, .atLeast(5)),
            row("kernel-stream", "pipe", .pipe),
            Row(
                "zero-copy", "1 MiB made and read, reserve/commit and borrowed receive, vs our copies",
                Self.ours(.borrowing, 1 << 20), Self.ours(.copying, 1 << 20), .gibibytesPerSecond, .atLeast(2)),
            Row(
                "messages", "8 B messages one way vs UCX tag", Self.ours(.messages), Measurement(.ucxTag, .stream),
                .millionsPerSecond, .atLeast(1.5)),
            Row(
                "messages", "8 B messages one way vs C ring", Self.ours(.messages), Measurement(.ring, .stream),
                .millionsPerSecond),
            Row(
                "messages", "8 B sends of a stream vs UCX tag", Self.ours(.stream), Measurement(.ucxTag, .stream),
                .millionsPerSecond),
        ]
    }()

    private static let waiting: [Row] = [
        Row(
            "wake", "wake of a sleeping peer vs futex", Self.ours(.wake), Measurement(.futex, .wake), goal: .atMost(1.1)
        ),
        Row(
            "thousand", "8 B one-way, 1,000 connections in turn, vs one", Self.ours(.thousand),
            Self.ours(.oneOfThousand), goal: .atMost(1.5)),
        Row(
            "validation", "8 B one-way vs a build without validation", Self.ours(.pingPong),
            Measurement(.unchecked, .pingPong), goal: .atMost(1.03)),
        Row(
            "validation", "64 KiB stream vs a build without validation", Self.ours(.stream, 65_536),
            Measurement(.unchecked, .stream, 65_536), .gibibytesPerSecond, .atLeast(0.97)),
    ]

    private init(
        _ group: String, _ name: String, _ ours: Measurement?, _ baseline: Measurement, goal: Goal
    ) {
        self.init(group, name, ours, baseline, .nanoseconds, goal)
    }
}
