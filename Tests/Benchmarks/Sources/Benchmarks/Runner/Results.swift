import Foundation
import Histogram

/// What `results.json` holds.
struct Results: Codable {
    struct Entry: Codable {
        var name: String
        var group: String
        var unit: String
        /// Medians over the rounds; nil: not there yet.
        var ours: Double?
        var baseline: Double
        var baselineName: String
        /// Median of the rounds' ratios, ours to baseline.
        var ratio: Double?
        /// The rounds' ratios at the 10th and 90th percentile.
        var ratioSpread: [Double]?
        /// For example "<= 0.5"; nil for rows that are only to be seen.
        var goal: String?
        var holds: Bool?
        /// How many pairs were measured.
        var rounds: Int
        /// The machine's state in these rounds: raw cache line one-way in ns at the 10th, 50th and 90th percentile.
        var rawLine: [Double]
        var date: String
    }
    var machine: Machine
    var rows: [Entry]

    static func load(_ path: String) throws -> Results {
        try JSONDecoder().decode(Results.self, from: Data(contentsOf: URL(filePath: path)))
    }

    func save(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try (encoder.encode(self) + Data("\n".utf8)).write(to: URL(filePath: path))
    }

    /// Rows measured now replace those of earlier runs; the order is the table's.
    mutating func merge(_ earlier: Results) {
        let known = Set(self.rows.map(\.name))
        let all = self.rows + earlier.rows.filter { !known.contains($0.name) }
        self.rows = Row.all.compactMap { row in all.first { $0.name == row.name } }
    }

    var table: String {
        var lines = [["what", "ours", "baseline", "ratio", "p10-p90", "goal", "holds", "raw line"]]
        for row in self.rows {
            lines.append([
                row.name, row.ours.map { "\(Self.short($0)) \(row.unit)" } ?? "not there yet",
                "\(Self.short(row.baseline)) \(row.unit)", row.ratio.map(Self.short) ?? "-",
                row.ratioSpread.map { $0.map(Self.short).joined(separator: "-") } ?? "-", row.goal ?? "-",
                row.holds.map { $0 ? "yes" : "no" } ?? "-", "\(Self.short(row.rawLine[1])) ns",
            ])
        }
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            "| "
                + zip(cells, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                .joined(separator: " | ") + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
        return ([line(lines[0]), rule] + lines.dropFirst().map(line)).joined(separator: "\n")
    }

    static func short(_ value: Double) -> String {
        String(format: value < 0.1 ? "%.4f" : value < 10 ? "%.2f" : value < 1000 ? "%.1f" : "%.0f", value)
    }
}

/// Percentiles of a few numbers.
struct Spread {
    private var histogram = Histogram<UInt32>(numberOfSignificantValueDigits: .three)
    private static let scale = 10_000.0

    init(_ values: [Double]) {
        for value in values { self.histogram.record(UInt64(max(0, value) * Self.scale)) }
    }

    func percentile(_ percentile: Double) -> Double {
        Double(self.histogram.valueAtPercentile(percentile)) / Self.scale
    }
}

extension Results.Entry {
    /// - Parameter samples: nanoseconds of each round.
    init(_ row: Row, samples: [Measurement: [Double]], rawLine: [Double], date: String) {
        func values(_ measurement: Measurement) -> [Double] {
            (samples[measurement] ?? []).map { row.unit.value(nanoseconds: $0, size: measurement.size) }
        }
        let baseline = values(row.baseline)
        self.name = row.name
        self.group = row.group
        self.unit = row.unit.rawValue
        self.baseline = Spread(baseline).percentile(50)
        self.baselineName = row.baseline.contender.title
        self.rounds = baseline.count
        let line = Spread(rawLine)
        self.rawLine = [10, 50, 90].map { line.percentile($0) }
        self.date = date
        if let ours = row.ours.map(values) {
            let ratios = Spread(zip(ours, baseline).map { $0 / $1 })
            self.ours = Spread(ours).percentile(50)
            self.ratio = ratios.percentile(50)
            self.ratioSpread = [ratios.percentile(10), ratios.percentile(90)]
        }
        switch row.goal {
        case .none: break
        case .atMost(let goal):
            self.goal = "<= \(Results.short(goal))"
            self.holds = self.ratio.map { $0 <= goal } ?? false
        case .atLeast(let goal):
            self.goal = ">= \(Results.short(goal))"
            self.holds = self.ratio.map { $0 >= goal } ?? false
        }
    }
}
