import Testing

/// Rules for shared words and for unsafe code.
struct MemoryTests {
    /// The places of every SYNC tag in the sources, by its name.
    static let synchronisations: [String: [String]] = {
        var places: [String: [String]] = [:]
        for file in SourceTree.sources {
            for (index, line) in file.lines.enumerated() {
                for match in line.matches(of: /SYNC\(([^)]*)\)/) {
                    places[String(match.output.1), default: []].append(file.place(index))
                }
            }
        }
        return places
    }()

    @Test func everySynchronisationNamesItsPartner() {
        #expect(!Self.synchronisations.isEmpty)
        for (name, places) in Self.synchronisations {
            #expect(places.count >= 2, "SYNC(\(name)) stands alone at \(places)")
        }
    }

    @Test func everySynchronisationIsDocumented() {
        let page = SourceTree.text("Docs/MemoryLayout.md")
        for name in Self.synchronisations.keys {
            #expect(page.contains("`\(name)`"), "Docs/MemoryLayout.md does not name SYNC(\(name))")
        }
    }

    /// Shared words are reached through pointers to atomics; those who may have one are few.
    @Test(arguments: SourceTree.sources) func sharedAtomicsAreInOneModule(_ file: TextFile) {
        guard file.module != "SMCMemory", file.path != "Sources/SMCSystem/FutexWord.swift" else { return }
        #expect(!file.text.contains("Pointer<Atomic"), "\(file.path) reaches atomics through a pointer")
    }

    @Test func theMemoryLayoutPageAgrees() {
        let rows = SourceTree.text("Docs/MemoryLayout.md").split(separator: "\n").filter { $0.hasPrefix("|") }
        let constants = SourceTree.sources.filter { $0.path.contains("SMCMemory/Layout/") }
            .flatMap { $0.text.matches(of: /static let (\w+Offset) = (\d+)/).map(\.output) }
        #expect(!constants.isEmpty)
        for (_, name, value) in constants {
            #expect(
                rows.contains { $0.contains("`\(name)`") && $0.hasPrefix("| \(value) |") },
                "no row of Docs/MemoryLayout.md says that \(name) is \(value)")
        }
    }

    // MARK: The unsafe fence

    /// Modules that may hold unsafe code.
    static let unsafeModules = ["SMCSystem", "SMCMemory", "SMCVerbs", "SMCTransport", "SMC", "smc"]

    @Test(arguments: SourceTree.sources.filter { !MemoryTests.unsafeModules.contains($0.module) })
    func unsafeCodeIsInsideItsFence(_ file: TextFile) {
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        for (index, line) in code.enumerated() where line.contains(/\bunsafe\b|\bUnsafe\w*Pointer|@unchecked/) {
            Issue.record("\(file.place(index)): unsafe code outside of its fence")
        }
    }

    /// Docs/Safety.md says what is unsafe where. In the small modules above the fence every file has its row.
    @Test func theFenceIsDocumented() {
        let page = SourceTree.text("Docs/Safety.md").split(separator: "\n").filter { $0.hasPrefix("|") }
        for module in Self.unsafeModules {
            #expect(page.contains { $0.contains("`\(module)`") }, "Docs/Safety.md has no row for \(module)")
        }
        for file in SourceTree.sources where ["SMCMemory", "SMCTransport", "SMC", "smc"].contains(file.module) {
            guard file.code.contains(/\bunsafe\b/) else { continue }
            let name = file.components.last ?? ""
            #expect(page.contains { $0.contains("`\(name)`") }, "Docs/Safety.md does not name \(file.path)")
        }
    }

    @Test(arguments: SourceTree.sources) func uncheckedSendableHasAReason(_ file: TextFile) {
        let lines = file.lines
        for (index, line) in lines.enumerated() where line.contains("@unchecked Sendable") {
            let near = lines[max(0, index - 3)...min(lines.count - 1, index + 6)]
            let hasReason = near.contains { $0.contains(/\/\/\/? .*(Sendable:|SAFETY:)/) }
            #expect(hasReason, "\(file.place(index)): unchecked, and no comment says why that is sound")
        }
    }
}
