import Foundation
import Testing

/// Docs/Capabilities.md: one row for each capability of the seeds, and nothing in it that is not there.
struct CapabilityTests {
    struct Row: CustomTestStringConvertible {
        let number: String
        let carrier: String
        let proof: String
        var testDescription: String { self.number }
    }

    static let rows: [Row] = SourceTree.text("Docs/Capabilities.md").split(separator: "\n").compactMap { line in
        let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
            $0.trimmingPrefix(while: \.isWhitespace)
        }
        guard cells.count == 6, cells[1].contains(/^[AE]\d+ $/) else { return nil }
        return Row(
            number: cells[1].trimmingCharacters(in: .whitespaces), carrier: String(cells[3]), proof: String(cells[4]))
    }

    static func names(_ text: String) -> [String] {
        text.matches(of: /`([^`]+)`/).map { String($0.output.1) }
    }

    /// What the sources declare: the members of each type, wherever it is extended.
    static let members: [String: Set<String>] = {
        let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "actor", "extension"]
        let others: Set = ["func", "var", "let", "case"]
        var members: [String: Set<String>] = [:]
        for file in SourceTree.sources {
            var types: [String] = []
            var names: Set<String> = []
            var isCase = false
            var last = ""
            for line in file.code.split(separator: "\n") {
                isCase = false
                for word in line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" }).map(String.init) {
                    if kinds.contains(last) { types.append(word) }
                    if kinds.contains(last) || others.contains(last) || isCase { names.insert(word) }
                    if word == "case" { isCase = true }
                    last = word
                }
            }
            for type in types { members[type, default: []].formUnion(names) }
        }
        return members
    }()

    /// The names of all functions below `Tests`.
    static let tests: Set<String> = {
        let files = SourceTree.allSwift.filter { $0.path.hasPrefix("Tests/") }
        return Set(
            files.flatMap { file in
                file.code.split(separator: "func ").dropFirst().map { String($0.prefix { $0.isLetter || $0.isNumber }) }
            })
    }()

    @Test func everyCapabilityHasOneRow() {
        let expected = (1...63).map { "A\($0)" } + (1...8).map { "E\($0)" }
        #expect(Self.rows.map(\.number) == expected)
    }

    @Test(arguments: rows) func whatCarriesItExists(_ row: Row) {
        for name in Self.names(row.carrier) {
            if name.hasPrefix("smc ") {
                let command = name.split(separator: " ")[1]
                let isThere = SourceTree.sources.contains { $0.text.contains("commandName: \"\(command)\"") }
                #expect(isThere, "\(row.number): there is no command \(name)")
                continue
            }
            let parts = name.split(separator: ".").map(String.init)
            guard let members = Self.members[parts[0]] else {
                Issue.record("\(row.number): there is no type \(parts[0])")
                continue
            }
            let isThere = parts.dropFirst().allSatisfy { members.contains($0) }
            #expect(isThere, "\(row.number): there is no \(name)")
        }
        #expect(row.carrier.hasPrefix("not carried: ") || row.carrier.contains("`") || row.carrier == "the same ")
    }

    @Test(arguments: rows) func whatProvesItExists(_ row: Row) {
        for name in Self.names(row.proof) {
            let isThere = name.contains("/") ? SourceTree.exists(name) : Self.tests.contains(name)
            #expect(isThere, "\(row.number): there is no test \(name)")
        }
        let isExplained = row.carrier.hasPrefix("not carried: ") || row.proof.hasPrefix("not a test: ")
        #expect(isExplained || row.proof.contains("`"), "\(row.number): nothing proves it")
    }
}
