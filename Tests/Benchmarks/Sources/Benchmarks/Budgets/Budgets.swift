import Foundation

/// What one message, sent and received, may cost; kept in `budgets.json`.
struct Budgets: Codable {
    /// How much more than its budget a scenario may take: compilers and libraries differ a little.
    var tolerancePercent: Double
    var scenarios: [String: Cost]

    /// For each message.
    struct Cost: Codable, Equatable {
        var instructions: Double
        var allocations: Double
        /// Retains and releases of objects.
        var retains: Double
        /// Accesses that the runtime checks for exclusivity.
        var exclusivityChecks: Double
        var systemCalls: Double

        var parts: [(name: String, value: Double)] {
            [
                ("instructions", self.instructions), ("allocations", self.allocations), ("retains", self.retains),
                ("exclusivity checks", self.exclusivityChecks), ("system calls", self.systemCalls),
            ]
        }
    }

    static func load(_ path: String) throws -> Budgets {
        try JSONDecoder().decode(Budgets.self, from: Data(contentsOf: URL(filePath: path)))
    }

    func save(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try (encoder.encode(self) + Data("\n".utf8)).write(to: URL(filePath: path))
    }

    /// What is over its budget, for people; empty when all is well.
    func violations(_ measured: [String: Cost]) -> [String] {
        var found: [String] = []
        for (name, budget) in self.scenarios.sorted(by: { $0.key < $1.key }) {
            guard let cost = measured[name] else {
                found.append("\(name): not measured")
                continue
            }
            for (allowed, actual) in zip(budget.parts, cost.parts) {
                let slack = allowed.name == "instructions" ? allowed.value * self.tolerancePercent / 100 : 0
                guard actual.value > allowed.value + slack else { continue }
                found.append("\(name): \(actual.value) \(allowed.name) for each message, allowed are \(allowed.value)")
            }
        }
        for name in measured.keys.sorted() where self.scenarios[name] == nil {
            found.append("\(name): has no budget; add one with --write")
        }
        return found
    }
}
