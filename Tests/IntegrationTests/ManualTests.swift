import Foundation
import Testing

/// The manual pages, held to what the program says about itself.
@Suite struct ManualTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Docs/Man")
    static let pages = ["smc.1", "smc-admin.1", "smc-hypervisor.8", "smc-hypervisor.yaml.5"]
    private static let mandoc = "/usr/bin/mandoc"

    private static func path(_ page: String) -> String { Self.folder.appending(path: page).path }

    private static func text(_ page: String) throws -> String {
        try String(contentsOfFile: Self.path(page), encoding: .utf8)
    }

    /// What `--experimental-dump-help` prints, as far as it is of interest.
    private struct Help: Decodable {
        struct Command: Decodable {
            var commandName: String
            var subcommands: [Command]?
            var arguments: [Argument]?
        }
        struct Argument: Decodable {
            struct Name: Decodable {
                var kind: String
                var name: String
            }
            var kind: String
            var names: [Name]?
            var shouldDisplay: Bool
        }
        var command: Command
    }

    private static func help(_ scene: Scene) async throws -> Help.Command {
        let program = try scene.start(Program.smc, ["--experimental-dump-help"])
        #expect(try await program.exit() == 0)
        return try JSONDecoder().decode(Help.self, from: program.outputData).command
    }

    @Test func pagesAreThereAndNoOthers() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(Set(files) == Set(Self.pages))
    }

    @Test(
        .enabled(if: FileManager.default.isExecutableFile(atPath: mandoc), "mandoc is not installed"), arguments: pages)
    func pagesAreWellFormed(_ page: String) async throws {
        try await Scene.play { scene in
            let lint = try scene.start(Self.mandoc, ["-T", "lint", "-W", "warning", Self.path(page)])
            #expect(try await lint.exit() == 0)
            #expect(lint.output.isEmpty && lint.errors.isEmpty, "\(lint.output)\(lint.errors)")
        }
    }

    @Test func everyCommandAndOptionIsNamed() async throws {
        try await Scene.play { scene in
            let smc = try await Self.help(scene)
            for command in smc.subcommands ?? [] where command.commandName != "help" {
                #expect(
                    try Self.text("smc.1").contains(".Cm \(command.commandName)\n"), "smc.1: \(command.commandName)")
                let page =
                    switch command.commandName {
                    case "hypervisor": "smc-hypervisor.8"
                    case "admin": "smc-admin.1"
                    default: "smc.1"
                    }
                try Self.expectNamed(command, in: page)
            }
        }
    }

    private static func expectNamed(_ command: Help.Command, in page: String) throws {
        let text = try Self.text(page)
        for argument in command.arguments ?? [] where argument.shouldDisplay {
            for name in argument.names ?? [] {
                let written = name.kind == "long" ? "\\-\(name.name)" : name.name
                let pattern = try Regex("Fl \(NSRegularExpression.escapedPattern(for: written))(?![\\w-])")
                #expect(text.contains(pattern), "\(page) does not name \(name.name) of \(command.commandName)")
            }
        }
        for sub in command.subcommands ?? [] where sub.commandName != "help" {
            #expect(text.contains("Cm \(sub.commandName)"), "\(page) does not name \(sub.commandName)")
            try Self.expectNamed(sub, in: page)
        }
    }

    /// Keys of the configuration file, as its reader knows them.
    @Test func everyKeyOfTheConfigurationIsNamed() throws {
        let source = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/SMCConfigurationFile/SettingsReader.swift")
        let code = try String(contentsOf: source, encoding: .utf8)
        let page = try Self.text("smc-hypervisor.yaml.5")
        let lists = code.matches(of: /keys(?::| =) \[([^\]]*)\]/).map { String($0.output.1) }
        #expect(lists.count >= 6)
        for key in lists.flatMap({ $0.matches(of: /"([\w-]+)"/).map { String($0.output.1) } }) {
            #expect(page.contains("Cm \(key)") || page.contains(", Cm \(key)"), "no '\(key)' in the page")
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completions(_ shell: String) async throws {
        try await Scene.play { scene in
            let program = try scene.start(Program.smc, ["--generate-completion-script", shell])
            #expect(try await program.exit() == 0)
            for word in ["listen", "connect", "hypervisor", "admin", "reload", "require"] {
                #expect(program.output.contains(word), "the script for \(shell) does not know \(word)")
            }
        }
    }
}
