import Foundation
import SMCConfigurationFile
import SMCControl
import SMCHypervisor
import SMCSystem

/// A hypervisor's configuration file together with the options that count before it.
struct ConfigurationSource: Sendable {
    let path: String
    private let socketPath: String?
    private let servesEveryone: Bool
    private let auditPath: String?
    private let logLevel: HypervisorSettings.LogLevel?

    /// Nil when there is no file: none was named, and this is not the system's hypervisor, or it has none.
    init?(_ command: HypervisorCommand) {
        if let named = command.config {
            // The hypervisor reads it again later, wherever it is then.
            self.path = named.hasPrefix("/") ? named : SMCSystem.Process.workingDirectory + "/" + named
        } else if command.socket == HypervisorLocator.Automatic().systemSocketPath, command.pool == nil,
            command.vlan.isEmpty, FileManager.default.fileExists(atPath: ConfigurationFile.systemPath)
        {
            self.path = ConfigurationFile.systemPath
        } else {
            return nil
        }
        self.socketPath = command.socket
        self.servesEveryone = command.everyone
        self.auditPath = command.auditFile
        self.logLevel = command.quiet ? .error : command.logLevel.flatMap { .init(rawValue: $0.rawValue) }
    }

    private static let accounts = ConfigurationFile.AccountLookup(
        userID: { try Accounts.userID(named: $0) }, groupID: { try Accounts.groupID(named: $0) })

    /// Reads the file.
    ///
    /// - Throws: what is wrong with it, in lines that a person can use.
    func settings() throws -> HypervisorSettings {
        guard let bytes = try FileSystem.contents(self.path, limit: ConfigurationFile.byteCountMaximum) else {
            throw SettingsRefusal([
                "\(self.path) has more than \(ConfigurationFile.byteCountMaximum) bytes; is it the right file?"
            ])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsRefusal(["\(self.path) is not UTF-8 text; is it the right file?"])
        }
        var settings = try ConfigurationFile.settings(from: text, name: self.path, accounts: Self.accounts)
        if let socketPath { settings.socketPath = socketPath }
        if self.servesEveryone { settings.service = .everyone }
        if let auditPath { settings.auditPath = auditPath }
        if let logLevel { settings.logLevel = logLevel }
        return settings
    }

    /// The same, for a hypervisor that runs.
    var result: Result<HypervisorSettings, SettingsRefusal> {
        do {
            return .success(try self.settings())
        } catch let error as SettingsRefusal {
            return .failure(error)
        } catch let error as ConfigurationFileError {
            return .failure(SettingsRefusal(error.description.split(separator: "\n").map(String.init)))
        } catch {
            return .failure(SettingsRefusal(["\(error)"]))
        }
    }
}
