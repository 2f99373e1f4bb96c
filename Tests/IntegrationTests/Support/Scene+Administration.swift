import Foundation
import Testing

/// Somebody else on this machine.
struct Stranger: Sendable {
    /// What a system has for users and groups that are nobody's.
    static let nobody = Stranger(userID: 65534, groupIDs: [])

    var userID: UInt32
    /// Supplementary ones.
    var groupIDs: [UInt32]
}

extension Scene {
    /// The hypervisor's configuration file.
    var configurationPath: String { self.path("smc.yaml") }

    func configure(_ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: self.configurationPath))
    }

    /// Starts a hypervisor that has a configuration file, and waits until it answers.
    @discardableResult
    func governedHypervisor(_ configuration: String, _ more: String...) async throws -> Program {
        if configuration.contains("serve: everyone"), chmod(self.directory, 0o755) != 0 {
            throw Trouble(description: "cannot open \(self.directory)")
        }
        try self.configure(configuration)
        let program = try self.start(
            Program.smc, ["hypervisor", "--config", self.configurationPath, "--socket", self.socket] + more)
        try await self.until("the hypervisor answers") { (try? await self.books()) != nil }
        return program
    }

    /// Runs `smc` as somebody else, who need not be able to reach the folder that it lies in.
    func smc(as stranger: Stranger, _ arguments: [String]) throws -> Program {
        let groups = stranger.groupIDs.map { "\($0)" }.joined(separator: ",")
        let identity = ["--reuid", "\(stranger.userID)", "--regid", "\(stranger.userID)"]
        let options = identity + (groups.isEmpty ? ["--clear-groups"] : ["--groups", groups])
        let script = "exec 3<\"$0\"; exec /usr/bin/setpriv \"$@\""
        return try self.start(
            "/bin/sh", ["-c", script, Program.smc] + options + ["/proc/self/fd/3"] + arguments)
    }

    /// What an administrator is told.
    struct Told {
        var code: Int32
        var output: String
        var errors: String
        /// The object on standard output, or on standard error when it was refused.
        var json: [String: JSONTree]
    }

    /// Runs a verb with `--json`, which must be done.
    @discardableResult
    func done(
        as stranger: Stranger? = nil, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> [String: JSONTree] {
        let told = try await self.told(stranger, words)
        #expect(told.code == 0, "\(words): \(told.errors)", sourceLocation: sourceLocation)
        return told.json
    }

    /// The same, which must be refused with this code.
    func refused(
        as stranger: Stranger? = nil, _ words: String, _ code: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let told = try await self.told(stranger, words)
        #expect(told.code == 7, "\(words)", sourceLocation: sourceLocation)
        #expect(told.json["code"] == .text(code), "\(words): \(told.errors)", sourceLocation: sourceLocation)
        #expect(told.json["error"]?.text?.isEmpty == false, sourceLocation: sourceLocation)
    }

    private func told(_ stranger: Stranger?, _ words: String) async throws -> Told {
        let arguments = ["admin"] + words.split(separator: " ").map(String.init) + ["--json", "--socket", self.socket]
        let program =
            try stranger.map { try self.smc(as: $0, arguments) } ?? self.start(Program.smc, arguments)
        let code = try await program.exit()
        let text = code == 0 ? program.output : program.errors
        guard let json = try? JSONDecoder().decode([String: JSONTree].self, from: Data(text.utf8)) else {
            throw Trouble(description: "no JSON from '\(words)': \(program.output)\(program.errors)")
        }
        return Told(code: code, output: program.output, errors: program.errors, json: json)
    }

    /// The lines of an audit log, each of which must be a JSON object.
    func auditLines(_ names: String...) throws -> [[String: JSONTree]] {
        try names.flatMap { name in
            let data = FileManager.default.contents(atPath: self.path(name)) ?? Data()
            #expect(data.isEmpty || data.last == UInt8(ascii: "\n"))
            return try data.split(separator: UInt8(ascii: "\n")).map {
                try JSONDecoder().decode([String: JSONTree].self, from: $0)
            }
        }
    }
}

/// Any JSON value.
enum JSONTree: Decodable, Equatable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([JSONTree])
    case object([String: JSONTree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([JSONTree].self) {
            self = .list(list)
        } else {
            self = .object(try container.decode([String: JSONTree].self))
        }
    }

    static func mebibytes(_ count: Int) -> JSONTree { .number(Double(count << 20)) }

    var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    var list: [JSONTree] {
        if case .list(let list) = self { list } else { [] }
    }

    subscript(key: String) -> JSONTree? {
        if case .object(let object) = self { object[key] } else { nil }
    }

    /// The object of a list that has this name.
    func named(_ name: String) -> JSONTree? {
        self.list.first { $0["name"] == .text(name) }
    }
}
