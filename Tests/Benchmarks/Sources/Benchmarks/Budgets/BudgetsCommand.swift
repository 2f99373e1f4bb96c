import ArgumentParser
import CBaseline
import Foundation

/// Counts what a message costs, and compares it with what it may cost.
struct BudgetsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budgets",
        abstract: "Count instructions, allocations, retains and system calls for each message, against their budgets.",
        discussion: "Exit code 1: something is over its budget.")

    @Option(help: "The program smc, which has the hypervisor.")
    var smc = ".build/release/smc"

    @Option(help: "The budgets.")
    var budgets = "Tests/Benchmarks/budgets.json"

    @Option(help: "Messages in each scenario.")
    var messages = 5000

    @Flag(help: "Make what was counted the new budgets.")
    var write = false

    @Flag(help: "Print where the instructions and the retains are; 'swift demangle' makes names readable.")
    var profile = false

    func run() throws {
        baseline_print_by_line()
        let hypervisor = try HypervisorProcess(smc: self.smc)
        var measured = try self.measure(hypervisor)
        let control = measured.removeValue(forKey: HotPathCommand.control)
        guard let control, control.parts.allSatisfy({ $0.value >= 1 }) else {
            throw BenchmarkError("the counters do not count: of one of each they found \(control?.parts ?? [])")
        }
        for (name, cost) in measured.sorted(by: { $0.key < $1.key }) {
            print("\(name): " + cost.parts.map { "\(Results.short($0.value)) \($0.name)" }.joined(separator: ", "))
        }
        if self.write {
            let tolerance = (try? Budgets.load(self.budgets))?.tolerancePercent ?? 3
            return try Budgets(tolerancePercent: tolerance, scenarios: measured).save(self.budgets)
        }
        let violations = try Budgets.load(self.budgets).violations(measured)
        guard violations.isEmpty else {
            print("over budget:\n  " + violations.joined(separator: "\n  "))
            throw ExitCode(1)
        }
        print("all within their budgets")
    }

    private func measure(_ hypervisor: HypervisorProcess) throws -> [String: Budgets.Cost] {
        let folder = hypervisor.folder
        // Callgrind stumbles over the debug information of Swift, and needs the names.
        let program = folder.appending(path: "hot-path").path
        try self.run("/usr/bin/strip", ["-g", "-o", program, Child.ownPath()])
        let scenario = [program, "hot-path", "--hypervisor", hypervisor.socket, "--messages", "\(self.messages)"]
        try self.run(
            "/usr/bin/valgrind",
            [
                "--tool=callgrind", "--compress-strings=no", "--compress-pos=no", "--quiet",
                "--log-file=\(folder.appending(path: "log").path)",
                "--callgrind-out-file=\(folder.appending(path: "profile").path)",
            ] + scenario)
        let trace = folder.appending(path: "trace").path
        try self.run("/usr/bin/strace", ["-f", "-qq", "-o", trace] + scenario)
        let systemCalls = Counters.systemCalls(try String(contentsOfFile: trace, encoding: .utf8))
        var result: [String: Budgets.Cost] = [:]
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.lastPathComponent.hasPrefix("profile.") {
            let profile = Counters.Profile(try String(contentsOf: file, encoding: .utf8))
            if self.profile { self.show(profile) }
            guard let systemCallCount = systemCalls[profile.name] else { continue }
            result[profile.name] = Budgets.Cost(
                instructions: self.each(profile.instructions),
                allocations: self.each(profile.calls(of: Counters.allocators)),
                retains: self.each(profile.calls(of: Counters.retains)),
                exclusivityChecks: self.each(profile.calls(of: Counters.exclusivityChecks)),
                systemCalls: self.each(systemCallCount))
        }
        guard !result.isEmpty else {
            throw BenchmarkError("callgrind counted nothing: is the package valgrind installed?")
        }
        return result
    }

    private func show(_ profile: Counters.Profile) {
        print("\(profile.name):")
        for (title, costs) in [("instructions", profile.own), ("retains", profile.retainers)] {
            for (name, cost) in costs.sorted(by: { $0.value > $1.value }).prefix(12) where self.each(cost) > 0.1 {
                print("  \(Results.short(self.each(cost))) \(title) in \(name)")
            }
        }
    }

    /// For one message; what happens less than once in a hundred does not count.
    private func each(_ count: Int) -> Double {
        (Double(count) / Double(self.messages) * 100).rounded(.down) / 100
    }

    private func run(_ program: String, _ arguments: [String]) throws {
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw BenchmarkError("\(program) is missing; 'make install' installs it")
        }
        let child = try Child(program, arguments)
        let limit = child.limit(seconds: 120)
        defer { limit.cancel() }
        let lines = child.lines()
        do {
            try child.waitUntilExit()
        } catch {
            throw BenchmarkError("\(error): \(lines.joined(separator: "; "))")
        }
    }
}
