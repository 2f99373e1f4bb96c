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

    @Test func everyCapabilityHasOneRow() {
        let expected = (1...63).map { "A\($0)" } + (1...8).map { "E\($0)" }
        #expect(Self.rows.map(\.number) == expected)
    }

    @Test(arguments: rows) func whatCarriesItExists(_ row: Row) throws {
        for name in Self.names(row.carrier) where name != "TODO(#3)" {
            if name.hasPrefix("smc ") {
                let command = name.split(separator: " ")[1]
                let isThere = SourceTree.sources.contains { $0.text.contains("commandName: \"\(command)\"") }
                #expect(isThere, "\(row.number): there is no command \(name)")
                continue
            }
            let parts = name.split(separator: ".")
            let type = try Regex("\\b(struct|class|enum|protocol|typealias|actor) \(parts[0])\\b")
            let files = SourceTree.sources.filter { $0.code.contains(type) }
            #expect(!files.isEmpty, "\(row.number): there is no type \(parts[0])")
            guard parts.count > 1 else { continue }
            let member = try Regex("\\b(struct|class|enum|func|var|let|case) (\\w+, )*\(parts[parts.count - 1])\\b")
            // Also in extensions, which may be in files of their own.
            let extended = try Regex("\\bextension [\\w.]*\\b\(parts[0])\\b")
            let places = files + SourceTree.sources.filter { $0.code.contains(extended) }
            #expect(places.contains { $0.code.contains(member) }, "\(row.number): there is no \(name)")
        }
        #expect(row.carrier.hasPrefix("not carried: ") || row.carrier.contains("`") || row.carrier == "the same ")
    }

    @Test(arguments: rows) func whatProvesItExists(_ row: Row) {
        let tests = SourceTree.allSwift.filter { $0.path.hasPrefix("Tests/") }
        for name in Self.names(row.proof) {
            let isThere =
                name.contains("/") ? SourceTree.exists(name) : tests.contains { $0.code.contains("func \(name)(") }
            #expect(isThere, "\(row.number): there is no test \(name)")
        }
        let isExplained = row.carrier.hasPrefix("not carried: ") || row.proof.hasPrefix("not a test: ")
        #expect(isExplained || row.proof.contains("`"), "\(row.number): nothing proves it")
    }
}
