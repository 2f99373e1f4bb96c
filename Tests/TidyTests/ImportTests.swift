import Testing

/// Who may import whom; Docs/Architecture.md has the same table.
struct ModuleRule: Sendable {
    var module: String
    var own: [String] = []
    var outside: [String] = []

    static let all = [
        // The pure column: bytes and decisions.
        ModuleRule(module: "SMCWire"),
        ModuleRule(module: "SMCProtocol", own: ["SMCWire"]),
        // The system column.
        ModuleRule(module: "SMCSystem", own: ["CSMCShims"], outside: ["Glibc", "HeapModule", "Synchronization"]),
        ModuleRule(module: "SMCMemory", own: ["SMCSystem"], outside: ["Synchronization"]),
        ModuleRule(module: "SMCVerbs", own: ["SMCSystem", "CIBVerbs", "CRDMACM"], outside: ["Synchronization"]),
        // They meet here.
        ModuleRule(module: "SMCControl", own: ["SMCWire", "SMCSystem"], outside: ["Synchronization"]),
        ModuleRule(
            module: "SMCTransport",
            own: ["SMCWire", "SMCProtocol", "SMCSystem", "SMCMemory", "SMCVerbs", "SMCControl"],
            outside: ["Synchronization"]),
        ModuleRule(
            module: "SMCHypervisor", own: ["SMCWire", "SMCSystem", "SMCMemory", "SMCControl"],
            outside: ["Logging", "Synchronization"]),
        ModuleRule(module: "SMCConfigurationFile", own: ["SMCWire", "SMCHypervisor"], outside: ["Yams"]),
        // What users meet.
        ModuleRule(
            module: "SMC", own: ["SMCTransport", "SMCWire", "SMCProtocol", "SMCSystem", "SMCMemory", "SMCControl"],
            outside: ["Synchronization"]),
        ModuleRule(
            module: "smc",
            own: ["SMC", "SMCControl", "SMCWire", "SMCSystem", "SMCHypervisor", "SMCConfigurationFile"],
            outside: ["ArgumentParser", "Foundation", "Histogram", "Logging", "Synchronization"]),
        // What tests share.
        ModuleRule(module: "SMCTesting", own: ["SMCWire"]),
    ]

    static func of(_ module: String) -> ModuleRule? { Self.all.first { $0.module == module } }
}

struct ImportTests {
    /// Modules that a file imports, with the index of the line.
    static func imports(_ file: TextFile) -> [(line: Int, module: String)] {
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        return code.enumerated().compactMap { index, line in
            let words = line.split(separator: " ")
            guard let place = words.firstIndex(of: "import"), words.count > place + 1 else { return nil }
            // `import struct Module.Type` has a word more.
            return (index, String(words[words.count - 1].split(separator: ".")[0]))
        }
    }

    @Test(arguments: SourceTree.sources) func onlyListedModulesAreImported(_ file: TextFile) throws {
        let rule = try #require(ModuleRule.of(file.module), "no rule for the module \(file.module)")
        for (line, module) in Self.imports(file) where !(rule.own + rule.outside).contains(module) {
            Issue.record("\(file.place(line)): \(rule.module) may not import \(module)")
        }
    }

    @Test func examplesUseThePublicLibraryOnly() {
        for file in SourceTree.files(under: "Docs/Examples", endings: [".swift"]) {
            for (line, module) in Self.imports(file) where module != "SMC" {
                Issue.record("\(file.place(line)): an example imports \(module)")
            }
        }
    }

    @Test func everyModuleHasARule() {
        let modules = SourceTree.folders(under: "Sources").filter { $0 != "CSMCShims" }
        #expect(modules == ModuleRule.all.map(\.module).sorted())
    }

    /// The rules that matter most, said once more, in case that somebody loosens the table.
    @Test(arguments: [
        ("Glibc", ["SMCSystem"]), ("CSMCShims", ["SMCSystem"]), ("CIBVerbs", ["SMCVerbs"]), ("CRDMACM", ["SMCVerbs"]),
        ("Foundation", ["smc"]), ("Logging", ["SMCHypervisor", "smc"]),
        ("SMCHypervisor", ["smc", "SMCConfigurationFile"]),
        ("Yams", ["SMCConfigurationFile"]), ("SMCConfigurationFile", ["smc"]), ("SMC", ["smc"]),
    ]) func onlyTheseMayImport(_ module: String, _ importers: [String]) {
        let allowed = ModuleRule.all.filter { ($0.own + $0.outside).contains(module) }.map(\.module)
        #expect(Set(allowed) == Set(importers))
    }

    @Test func modulesImportOnlyWhatStandsAboveThem() {
        var above: Set<String> = ["CSMCShims", "CIBVerbs", "CRDMACM"]
        for rule in ModuleRule.all {
            #expect(above.isSuperset(of: rule.own), "\(rule.module) imports a module that stands below it in the table")
            above.insert(rule.module)
        }
    }

    @Test(arguments: SourceTree.allSwift) func nothingIsReexported(_ file: TextFile) {
        #expect(!file.code.contains("@_exported"), "\(file.path) re-exports a module")
    }

    @Test(arguments: ModuleRule.all.map(\.module)) func theArchitecturePageAgrees(_ module: String) throws {
        let rule = try #require(ModuleRule.of(module))
        let page = SourceTree.text("Docs/Architecture.md").split(separator: "\n")
        let row = try #require(page.first { $0.hasPrefix("| `\(module)` |") }, "no row for \(module)")
        // "", module, what it is, own modules, outside modules, ""
        let cells = row.split(separator: "|", omittingEmptySubsequences: false)
        try #require(cells.count == 6)
        func names(_ cell: Substring) -> Set<String> {
            Set(cell.matches(of: /`(\w+)`/).map { String($0.output.1) })
        }
        #expect(names(cells[3]) == Set(rule.own))
        #expect(names(cells[4]) == Set(rule.outside))
    }

    /// Between our own modules `package` is enough; `public` is a promise to users.
    @Test(arguments: SourceTree.sources.filter { $0.module != "SMC" }) func onlySMCIsPublic(_ file: TextFile) {
        let code = file.code.split(separator: "\n", omittingEmptySubsequences: false)
        for (line, text) in code.enumerated() where text.contains(/^\s*(public|open)\s+\w/) {
            Issue.record("\(file.place(line)): public outside of SMC")
        }
    }
}
