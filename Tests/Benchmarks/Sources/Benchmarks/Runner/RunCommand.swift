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
        if self.table {
            results = try Results.load(self.results)
        } else {
            results = try self.measure()
            if let earlier = try? Results.load(self.results) { results.merge(earlier) }
            try results.save(self.results)
        }
        print(results.machine.summary)
        print("")
        print(results.table)
    }

    private func measure() throws -> Results {
        let rows = Row.all.filter { self.only.isEmpty || self.only.contains($0.group) }
        let laboratory = try Laboratory(smc: self.smc, unchecked: self.unchecked, duration: self.quick ? 0.03 : 0.15)
        var machine = Machine()
        var samples: [Measurement: [Double]] = [:]
        // Each once, in the order of the table.
        var measurements: [Measurement] = []
        for measurement in rows.flatMap({ [$0.ours, $0.baseline].compactMap(\.self) })
        where !measurements.contains(measurement) {
            measurements.append(measurement)
        }
        let line = Measurement(.line, .pingPong)
        for round in 1...(self.quick ? 3 : self.rounds) {
            let state = try laboratory.measure(line)
            machine.rawLine.append(state)
            print("round \(round): raw cache line \(Results.short(state)) ns")
            for measurement in measurements {
                let value = measurement == line ? state : try laboratory.measure(measurement)
                samples[measurement, default: []].append(value)
                guard self.verbose else { continue }
                print("  \(measurement): \(Results.short(value)) ns")
            }
        }
        machine.load.append(Machine.loadNow)
        return Results(machine: machine, rows: rows.map { Results.Entry($0, samples: samples, machine: machine) })
    }
}
