import Foundation
import Testing

/// Rules for comments, documents and white space.
struct TextTests {
    @Test(arguments: SourceTree.allText) func linesEndWhereTheirTextEnds(_ file: TextFile) {
        for (index, line) in file.lines.enumerated() where line.last?.isWhitespace == true {
            Issue.record("\(file.place(index)): white space at the end")
        }
        #expect(file.text.isEmpty || file.text.hasSuffix("\n"), "\(file.path) does not end with a newline")
        #expect(!file.text.hasSuffix("\n\n"), "\(file.path) ends with empty lines")
    }

    /// Places that exist only on the machine of whoever wrote a line.
    @Test(arguments: SourceTree.allText) func nothingPointsToSomebodysMachine(_ file: TextFile) throws {
        let folders = ["home", "work", "root", "Users"].joined(separator: "|")
        let pattern = try Regex("(^|[\\s\"'`(=:])/(\(folders))/|/tmp/smc-(?!test-)[a-z]")
        for (index, line) in file.lines.enumerated() where line.contains(pattern) {
            Issue.record("\(file.place(index)): a place on somebody's machine")
        }
    }

    @Test(arguments: SourceTree.allText) func openPointsHaveANumber(_ file: TextFile) {
        let words = ["TO" + "DO", "FIX" + "ME"]
        for (index, line) in file.lines.enumerated() {
            for word in words where line.contains(word) && !line.contains("\(word)(#") {
                Issue.record("\(file.place(index)): \(word) without the number of an issue")
            }
        }
    }

    /// Requirements of the standard library's protocols, which every reader knows.
    static let knownRequirements = [
        "description", "rawValue", "init(rawValue", "makeAsyncIterator", "next()", "Element",
    ]

    @Test(arguments: SourceTree.sources.filter { $0.module == "SMC" })
    func everythingPublicIsDocumented(_ file: TextFile) {
        let lines = file.lines.map { $0.drop { $0 == " " } }
        for (index, line) in lines.enumerated() where line.contains(/^(public|package|open)\s+(?!import)/) {
            if Self.knownRequirements.contains(where: { line.contains(" \($0)") }) { continue }
            var above = index - 1
            while above >= 0, lines[above].hasPrefix("@") { above -= 1 }
            #expect(above >= 0 && lines[above].hasPrefix("///"), "\(file.place(index)): no doc comment")
        }
    }

    // MARK: Links

    /// Headings of a document as their anchors, the way GitHub makes them.
    static func anchors(_ text: String) -> Set<String> {
        Set(
            text.split(separator: "\n").filter { $0.hasPrefix("#") }.map { heading in
                let title = heading.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                return title.filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
                    .replacingOccurrences(of: " ", with: "-")
            })
    }

    @Test(arguments: SourceTree.documents) func linksLeadSomewhere(_ file: TextFile) {
        let folder = file.components.dropLast().joined(separator: "/")
        for match in file.text.matches(of: /\]\(([^)\s]+)\)/) {
            let target = String(match.output.1)
            guard !target.contains("://") else { continue }
            let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let path = parts[0].isEmpty ? file.path : Self.normalised(folder, parts[0])
            #expect(SourceTree.exists(path), "\(file.path) links to \(target), which is not there")
            if parts.count == 2 {
                #expect(Self.anchors(SourceTree.text(path)).contains(parts[1]), "\(file.path): no heading \(target)")
            }
        }
    }

    private static func normalised(_ folder: String, _ target: String) -> String {
        var result = folder.split(separator: "/")
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { _ = result.popLast() } else { result.append(part) }
        }
        return result.joined(separator: "/")
    }

    /// Files and folders that texts and comments name by their path from the root.
    @Test(arguments: SourceTree.documents + SourceTree.allSwift) func namedFilesExist(_ file: TextFile) {
        let pattern = /(?:^|[\s`(])((?:Docs|Sources|Tests|Modules)\/[\w+\-.\/]*\w)/.anchorsMatchLineEndings()
        for match in file.text.matches(of: pattern) {
            let path = String(match.output.1)
            #expect(SourceTree.exists(path), "\(file.path) names \(path), which is not there")
        }
    }

    // MARK: Citations

    @Test func citedSectionsOfTheProtocolExist() {
        let page = SourceTree.text("Docs/WireProtocol.md").split(separator: "\n")
        for file in SourceTree.allSwift where file.module != "TidyTests" {
            for match in file.text.matches(of: /(?:PROTOCOL |trap )(T?\d+(?:\.\d+)?)/) {
                let section = match.output.1
                let beginnings = ["## \(section) ", "## \(section).", "| \(section) |"]
                let isThere = page.contains { line in beginnings.contains { line.hasPrefix($0) } }
                #expect(isThere, "\(file.path) cites PROTOCOL \(section), which Docs/WireProtocol.md does not have")
            }
        }
    }

    /// A document that says "`name` = 8" says what the source says.
    @Test(arguments: SourceTree.documents) func quotedConstantsAreTrue(_ file: TextFile) throws {
        for match in file.text.matches(of: /`(\w+)` = ([\d_]+)/) {
            let (_, name, value) = match.output
            let declaration = try Regex("(let|var) \(name)(: \\w+)? = \(value)\\b")
            let isTrue = SourceTree.sources.contains { $0.text.contains(declaration) }
            #expect(isTrue, "\(file.path): no \(name) = \(value) in the sources")
        }
    }

    @Test func citedCapabilitiesExist() {
        let page = SourceTree.text("Docs/Seeds.md").split(separator: "\n")
        for file in SourceTree.sources {
            for (index, line) in file.lines.enumerated() {
                guard let comment = line.firstRange(of: "//") else { continue }
                for match in line[comment.lowerBound...].matches(of: /\b([AB]\d{1,2})\b/) {
                    let number = match.output.1
                    #expect(page.contains { $0.hasPrefix("| \(number) |") }, "\(file.place(index)) cites \(number)")
                }
            }
        }
    }

    // MARK: The README

    @Test func theExampleIsTheOneThatIsBuilt() throws {
        let source = SourceTree.text("Docs/Examples/echo/main.swift")
        let begin = try #require(source.firstRange(of: "// README: from here\n"))
        let end = try #require(source.firstRange(of: "// README: to here\n"))
        let block = try #require(SourceTree.text("README.md").firstMatch(of: /```swift\n([\s\S]*?)```/))
        #expect(block.output.1 == source[begin.upperBound..<end.lowerBound])
    }

    @Test func theReadmeNamesEveryCommand() {
        // Commands of commands, in folders of their own, are in the manual pages.
        let commands = SourceTree.sources.filter { $0.module == "smc" && $0.components.count == 3 }
            .flatMap { $0.text.matches(of: /commandName: "(\w+)"/).map { String($0.output.1) } }
        let readme = SourceTree.text("README.md")
        for command in commands + ["admin"] where command != "smc" {
            #expect(readme.contains("`smc \(command)"), "the README does not name smc \(command)")
        }
    }
}
