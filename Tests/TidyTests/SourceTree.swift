import Foundation
import Testing

/// A text file of the repository.
struct TextFile: Sendable, CustomTestStringConvertible {
    /// From the repository's root on.
    let path: String
    let text: String
    /// The text without comments and strings, if it is Swift.
    let code: String

    init(path: String) {
        self.path = path
        self.text = SourceTree.text(path)
        self.code = path.hasSuffix(".swift") ? SwiftScanner.code(of: self.text) : ""
    }

    var lines: [Substring] { self.text.split(separator: "\n", omittingEmptySubsequences: false) }
    var components: [Substring] { self.path.split(separator: "/") }
    /// The module of a file below `Sources`, the test target of one below `Tests`.
    var module: String { self.components.count > 2 ? String(self.components[1]) : "" }
    var testDescription: String { self.path }

    /// `path:line`, as compilers print places.
    func place(_ index: Int) -> String { "\(self.path):\(index + 1)" }
}

/// What the repository holds, without what is built or fetched.
enum SourceTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static let sources = Self.files(under: "Sources", endings: [".swift"])
    static let allSwift =
        Self.sources + Self.files(under: "Tests", endings: [".swift"])
        + Self.files(under: "Docs/Examples", endings: [".swift"]) + Self.files(named: ["Package.swift"])
    static let documents =
        Self.files(under: "Docs", endings: [".md"]) + Self.files(under: "Tests", endings: [".md"])
        + Self.files(named: ["README.md"])
    /// All that people write here.
    static let allText =
        Self.allSwift + Self.documents + Self.files(under: "Sources", endings: [".c", ".h"])
        + Self.files(under: "Modules", endings: [".h", ".modulemap"])
        + Self.files(under: "Tests", endings: [".py", ".sh", ".c"]) + Self.files(named: ["Makefile", ".gitignore"])

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: self.root.appending(path: path).path)
    }

    /// A file's text; empty when there is no such file.
    static func text(_ path: String) -> String {
        (try? String(contentsOf: self.root.appending(path: path), encoding: .utf8)) ?? ""
    }

    static func files(named paths: [String]) -> [TextFile] {
        paths.filter(Self.exists).map { TextFile(path: $0) }
    }

    static func files(under folder: String, endings: [String]) -> [TextFile] {
        let found = FileManager.default.enumerator(atPath: self.root.appending(path: folder).path)
        let names = (found?.allObjects as? [String] ?? []).filter { name in
            endings.contains { name.hasSuffix($0) } && !name.split(separator: "/").contains { $0.hasPrefix(".") }
        }
        return Self.files(named: names.sorted().map { "\(folder)/\($0)" })
    }

    /// The folders directly below one.
    static func folders(under folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.root.appending(path: folder).path)) ?? []
        return names.filter { !$0.hasPrefix(".") && Self.isFolder("\(folder)/\($0)") }.sorted()
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(
            atPath: self.root.appending(path: path).path, isDirectory: &isFolder)
        return exists && isFolder.boolValue
    }
}
