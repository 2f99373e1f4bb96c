import ArgumentParser
import CBaseline
import Foundation

/// Measures all rows, or some.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Measure all rows of the table, or some, and write the results.")

    @Option(help: "The program smc, which has the hypervisor.")
    var smc = ".build/release/smc"

    @Option(help: "This program, built without validation.")
    var unchecked = ".build/benchmarks-unchecked/release/Benchmarks"

    @Option(help: "Rounds; in each everybody is measured once.")
    var rounds = 7

    @Flag(help: "3 short rounds, to see that it works.")
    var quick = false

    @Option(help: "Measure this group of rows only; repeat it for more. Other rows stay in the results as they are.")
    var only: [String] = []

    @Option(help: "Where the results go.")
    var results = "Tests/Benchmarks/results.json"

    @Flag(name: .shortAndLong, help: "Print every single measurement.")
    var verbose = false

    @Flag(help: "Measure nothing; print the table of the results.")
    var table = false

    func validate() throws {
        let groups = Set(Row.all.map(\.group))
        for name in self.only where !groups.contains(name) {
            throw ValidationError("There is no group '\(name)'; there are: \(groups.sorted().joined(separator: ", ")).")
        }
        guard self.rounds > 0 else { throw ValidationError("--rounds must be at least 1.") }
    }

    func run() throws {
        baseline_print_by_line()
        var results: Results
        var failures: [String] = []
        if self.table {
            results = try Results.load(self.results)
        } else {
            let groups: [Group]
            (results, groups) = try self.measure()
            failures = groups.compactMap { group in group.failure.map { "\(group.name): \($0)" } }
            if let earlier = try? Results.load(self.results) { results.merge(earlier) }
            try results.save(self.results)
        }
        print(results.machine.summary)
        print("")
        print(results.table)
        guard failures.isEmpty else { throw BenchmarkError("not measured: \(failures.joined(separator: "; "))") }
    }

    private func measure() throws -> (Results, [Group]) {
        let rows = Row.all.filter { self.only.isEmpty || self.only.contains($0.group) }
        let laboratory = try Laboratory(smc: self.smc, unchecked: self.unchecked, duration: self.quick ? 0.03 : 0.15)
        var machine = Machine()
        var groups: [Group] = []
        for row in rows where !groups.contains(where: { $0.name == row.group }) {
            groups.append(Group(name: row.group, rows: rows.filter { $0.group == row.group }))
        }
        for round in 1...(self.quick ? 3 : self.rounds) {
            for index in groups.indices {
                groups[index].measure(in: laboratory, isVerbose: self.verbose)
            }
            let states = groups.compactMap(\.rawLine.last).map(Results.short)
            print("round \(round): raw cache line \(states.joined(separator: ", ")) ns")
        }
        machine.rawLine = groups.flatMap(\.rawLine)
        machine.load.append(Machine.loadNow)
        return (Results(machine: machine, rows: groups.flatMap { $0.entries(date: machine.date) }), groups)
    }
}

/// Rows that are measured right after one another, so that the machine is in the same state for all of them.
private struct Group {
    let name: String
    let rows: [Row]
    /// What is measured in a round, each once, in the order of the table.
    let measurements: [Measurement]
    private(set) var rawLine: [Double] = []
    private var samples: [Measurement: [Double]] = [:]

    init(name: String, rows: [Row]) {
        self.name = name
        self.rows = rows
        var measurements: [Measurement] = []
        for measurement in rows.flatMap({ [$0.ours, $0.baseline].compactMap(\.self) })
        where !measurements.contains(measurement) {
            measurements.append(measurement)
        }
        self.measurements = measurements
    }

    /// Differences of a few percent need more pairs.
    private var repeats: Int { self.name == "validation" ? 3 : 1 }

    /// What went wrong; a group that failed once is left alone.
    private(set) var failure: String?

    mutating func measure(in laboratory: Laboratory, isVerbose: Bool) {
        guard self.failure == nil else { return }
        do {
            try self.tryToMeasure(in: laboratory, isVerbose: isVerbose)
        } catch {
            self.failure = "\(error)"
            print("group '\(self.name)' failed: \(error)")
        }
    }

    private mutating func tryToMeasure(in laboratory: Laboratory, isVerbose: Bool) throws {
        self.rawLine.append(try laboratory.measure(Measurement(.line, .pingPong)))
        for _ in 0..<self.repeats {
            for measurement in self.measurements {
                let value = try laboratory.measure(measurement)
                self.samples[measurement, default: []].append(value)
                if isVerbose { print("  \(measurement): \(Results.short(value)) ns") }
            }
        }
    }

    func entries(date: String) -> [Results.Entry] {
        guard self.failure == nil else { return [] }
        return self.rows.map { Results.Entry($0, samples: self.samples, rawLine: self.rawLine, date: date) }
    }
}
