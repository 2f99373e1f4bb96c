package import SMCHypervisor
internal import SMCWire
internal import Yams

/// The hypervisor's configuration file: YAML that becomes ``HypervisorSettings``, or complaints with their places.
package enum ConfigurationFile {
    /// Where the system's hypervisor looks when it was told of no other file.
    package static let systemPath = "/etc/smc/hypervisor.yaml"
    /// Bytes that a file may have: more than any honest one, so that a wrong path does not fill the memory.
    package static let byteCountMaximum = 1 << 20

    /// How names of users and groups become numbers; nil when nobody has the name.
    package struct AccountLookup: Sendable {
        package var userID: @Sendable (String) throws -> UInt32?
        package var groupID: @Sendable (String) throws -> UInt32?

        package init(
            userID: @escaping @Sendable (String) throws -> UInt32?,
            groupID: @escaping @Sendable (String) throws -> UInt32?
        ) {
            self.userID = userID
            self.groupID = groupID
        }
    }

    /// Reads a whole file.
    ///
    /// - Parameter name: how complaints call it.
    /// - Throws: all that is wrong with it.
    package static func settings(
        from text: String, name: String, accounts: AccountLookup
    ) throws(ConfigurationFileError) -> HypervisorSettings {
        let findings = Findings()
        let root: Node?
        do {
            root = try Yams.compose(yaml: text, .default, .default, .utf8)
        } catch {
            throw ConfigurationFileError(file: name, complaints: [Self.complaint(error, text)])
        }
        var reader = SettingsReader(findings, accounts)
        let settings = reader.read(root)
        guard findings.complaints.isEmpty else {
            let ordered = findings.complaints.enumerated().sorted {
                ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
            }
            throw ConfigurationFileError(file: name, complaints: ordered.map(\.element))
        }
        return settings
    }

    /// What YAML itself forbids.
    private static func complaint(_ error: any Error, _ text: String) -> Complaint {
        let indentation = "check the indentation (spaces, no tabs) and the quotes there"
        switch error as? YamlError {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            let said = [context?.text, problem].compactMap { $0 }.joined(separator: ": ")
            return Complaint(line: mark.line, column: mark.column, problem: said, advice: indentation)
        case .composer(_, let problem, let mark, _):
            return Complaint(
                line: mark.line, column: mark.column, problem: problem,
                advice: "write one document, and name only what stands above")
        case .duplicatedKeysInMapping(let keys, let context):
            return Complaint(
                line: context.mark.line, column: context.mark.column,
                problem: "'\(keys.joined(separator: "', '"))' stands here and once more below",
                advice: "keep one of them")
        case .reader(let problem, let offset, _, _):
            let before = text.prefix(offset ?? 0)
            return Complaint(
                line: before.count { $0 == "\n" } + 1,
                column: (before.split(separator: "\n", omittingEmptySubsequences: false).last?.count ?? 0) + 1,
                problem: problem, advice: "remove the character")
        default:
            return Complaint(line: 1, column: 1, problem: "\(error)", advice: "write the file as YAML")
        }
    }
}
