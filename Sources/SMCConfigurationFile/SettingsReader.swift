internal import SMCHypervisor
internal import SMCWire
internal import Yams

/// Reads the sections of a configuration file, and checks what they say about each other.
struct SettingsReader {
    private let findings: Findings
    private let accounts: ConfigurationFile.AccountLookup
    private var pools: [HypervisorSettings.Pool] = []
    private var vlans: [VLANDefinition] = []

    init(_ findings: Findings, _ accounts: ConfigurationFile.AccountLookup) {
        self.findings = findings
        self.accounts = accounts
    }

    private static let keys = [
        "socket", "serve", "pools", "vlans", "partitions", "roles", "limits", "audit-file", "log-level",
    ]

    mutating func read(_ root: Node?) -> HypervisorSettings {
        let all = root.flatMap { Self.isNothing($0) ? nil : $0 }
        guard let all, let file = Section(all, title: "the file", keys: Self.keys, self.findings) else {
            return HypervisorSettings()
        }
        var settings = HypervisorSettings()
        let pools = file.sections("pools", of: "pool", keys: ["name", "size", "huge-pages"]).compactMap(self.pool)
        self.pools = pools.isEmpty ? settings.pools : pools
        let vlans = file.sections(
            "vlans", of: "VLAN", keys: ["name", "pool", "slice", "partition-limit", "access", "enabled"]
        ).compactMap(self.vlan)
        self.vlans = vlans.isEmpty ? [VLANDefinition(.default, pool: self.pools[0].id)] : vlans
        (settings.pools, settings.vlans) = (self.pools, self.vlans)
        self.checkCount(file, "pools", self.pools.count, ControlLimits.poolsPerHypervisor)
        self.checkCount(file, "vlans", self.vlans.count, ControlLimits.vlansPerHypervisor)

        let partitions = file.sections(
            "partitions", of: "partition", keys: ["name", "users", "groups", "limit", "vlans"])
        for (definition, authorisations) in partitions.compactMap(self.partition) {
            settings.partitions.append(definition)
            settings.authorisations += authorisations
        }
        self.checkCount(file, "partitions", settings.partitions.count, ControlLimits.partitionDefinitions)
        settings.roles = file.sections("roles", of: "role", keys: ["name", "users", "groups", "rights", "vlans"])
            .compactMap(self.role)
        for key in ["pools", "vlans", "partitions", "roles"] { self.noteDuplicates(file, key) }
        settings.socketPath = self.path(file, "socket")
        settings.auditPath = self.path(file, "audit-file")
        settings.service = file.word("serve", HypervisorSettings.Service.self)
        settings.logLevel = file.word("log-level", HypervisorSettings.LogLevel.self)
        if let node = file.node("limits") { settings.limits = self.limits(node) }
        return settings
    }

    private func checkCount(_ section: Section, _ key: String, _ count: Int, _ maximum: Int) {
        guard count > maximum else { return }
        section.complain(key, "'\(key)' has \(count) entries", "use at most \(maximum), or a second hypervisor")
    }

    private static func isNothing(_ node: Node) -> Bool {
        node.scalar.map { $0.style == .plain && ["", "~", "null"].contains($0.string) } ?? false
    }

    private func noteDuplicates(_ file: Section, _ key: String) {
        var seen: Set<String> = []
        for node in file.list(key) {
            guard let name = node.mapping?.first(where: { $0.key.scalar?.string == "name" })?.value,
                let text = name.scalar?.string, !seen.insert(text).inserted
            else { continue }
            self.findings.add(name.mark, "'\(text)' stands twice in '\(key)'", "keep one of them, or rename one")
        }
    }

    private func path(_ section: Section, _ key: String) -> String? {
        guard let path = section.text(key) else { return nil }
        guard path.hasPrefix("/") else {
            section.complain(key, "'\(key)' is '\(path)'", "write the whole path, from / on")
            return nil
        }
        return path
    }

    // MARK: Sections

    private func pool(_ section: Section) -> HypervisorSettings.Pool? {
        let name = section.requiredText("name")
        let size = section.byteCount("size")
        let hugePages = section.word("huge-pages", HypervisorSettings.Pool.HugePages.self)
        guard let name else { return nil }
        guard let id = PoolID(name) else {
            self.complainOfName(section, name, "a pool")
            return nil
        }
        return HypervisorSettings.Pool(id, byteCount: size, hugePages: hugePages ?? .never)
    }

    private enum AccessWord: String, CaseIterable {
        case open, authorised
    }

    private func vlan(_ section: Section) -> VLANDefinition? {
        let name = section.requiredText("name")
        let id = name.flatMap { VLANID($0) }
        if let name, id == nil { self.complainOfName(section, name, "a VLAN") }
        let poolName = section.text("pool") ?? self.pools[0].id.name
        let pool = self.pools.first { $0.id.name == poolName }
        if pool == nil {
            section.complain(
                "pool", "\(section.title) is to be in pool '\(poolName)', which 'pools' does not have",
                Self.suggestion(poolName, self.pools.map(\.id.name)))
        }
        let slice = section.byteCount("slice")
        if let slice, let size = pool?.byteCount, slice > size {
            section.complain(
                "slice", "the slice of \(section.title) is larger than its pool (\(slice) and \(size) bytes)",
                "make the slice smaller, or the pool '\(poolName)' larger")
        }
        let partitionLimit = section.byteCount("partition-limit")
        if let partitionLimit, let slice, partitionLimit > slice {
            section.complain(
                "partition-limit",
                "'partition-limit' of \(section.title) is larger than its slice (\(partitionLimit) and \(slice) bytes)",
                "make it smaller, or leave it out")
        }
        let access = section.word("access", AccessWord.self)
        let isEnabled = section.flag("enabled")
        guard let id, let pool else { return nil }
        return VLANDefinition(
            id, pool: pool.id, sliceByteCount: slice, partitionLimitByteCount: partitionLimit,
            access: access == .authorised ? .authorised : .open, isEnabled: isEnabled ?? true)
    }

    private func partition(_ section: Section) -> (PartitionDefinition, [Authorisation])? {
        let name = section.requiredText("name")
        if let name, name.isEmpty || name.utf8.count > ControlLimits.nameByteCount {
            section.complain(
                "name", "the name of \(section.title) has \(name.utf8.count) bytes",
                "use 1 to \(ControlLimits.nameByteCount)")
        }
        let accounts = self.accountSet(section)
        for (key, count) in [("users", accounts.userIDs.count), ("groups", accounts.groupIDs.count)] {
            self.checkCount(section, key, count, ControlLimits.usersPerPartition)
        }
        let nodes = section.list("vlans")
        if nodes.isEmpty {
            section.complain("vlans", "\(section.title) is on no VLAN", "add 'vlans:' with one or more names")
        }
        guard let name else { return nil }
        let definition = PartitionDefinition(
            name: name, userIDs: accounts.userIDs.sorted(), groupIDs: accounts.groupIDs.sorted(),
            limitByteCount: section.byteCount("limit"))
        return (definition, nodes.compactMap { self.authorisation($0, section, name) })
    }

    /// The name of a VLAN alone, or with a limit.
    private func authorisation(_ node: Node, _ section: Section, _ partition: String) -> Authorisation? {
        if let scalar = node.scalar {
            return self.knownVLAN(scalar.string, node.mark).map { Authorisation(partition: partition, vlan: $0) }
        }
        guard
            let entry = Section(
                node, title: "a VLAN of \(section.title)", keys: ["name", "limit"], self.findings),
            let name = entry.requiredText("name"), let vlan = self.knownVLAN(name, entry.node("name")?.mark)
        else { return nil }
        return Authorisation(partition: partition, vlan: vlan, limitByteCount: entry.byteCount("limit"))
    }

    private func role(_ section: Section) -> HypervisorSettings.Role? {
        let name = section.requiredText("name")
        let accounts = self.accountSet(section)
        let known = Roles.Role.allCases.map(\.rawValue)
        var rights: Set<Roles.Role> = []
        for node in section.list("rights") {
            let word = node.scalar?.string ?? ""
            if let right = Roles.Role(rawValue: word) {
                rights.insert(right)
            } else {
                self.findings.add(
                    node.mark, "\(section.title) has the right '\(word)', which there is not",
                    Self.suggestion(word, known))
            }
        }
        if section.list("rights").isEmpty {
            section.complain("rights", "\(section.title) has no rights", "add 'rights:' with \(Spelling.list(known))")
        }
        let scope = self.scope(section)
        return name.map { HypervisorSettings.Role(name: $0, accounts: accounts, rights: rights, scope: scope) }
    }

    /// `all`, which is also meant when nothing is said, or names.
    private func scope(_ section: Section) -> Roles.Scope {
        let nodes = section.list("vlans")
        if nodes.isEmpty || nodes.count == 1 && nodes[0].scalar?.string == "all" { return .all }
        return .vlans(Set(nodes.compactMap { self.knownVLAN($0.scalar?.string ?? "", $0.mark) }))
    }

    private func limits(_ node: Node) -> HypervisorSettings.Limits {
        var limits = HypervisorSettings.Limits()
        let keys = ["sessions", "partitions", "handshake-seconds"]
        guard let section = Section(node, title: "limits", keys: keys, self.findings) else { return limits }
        limits.sessions = section.number("sessions", in: 1...1_000_000) ?? limits.sessions
        limits.partitions = section.number("partitions", in: 1...1_000_000) ?? limits.partitions
        limits.handshakeSeconds = section.number("handshake-seconds", in: 1...3600) ?? limits.handshakeSeconds
        return limits
    }

    // MARK: Names

    private static func suggestion(_ word: String, _ known: [String]) -> String {
        Spelling.nearest(to: word, in: known).map { "did you mean '\($0)'?" } ?? "there is \(Spelling.list(known))"
    }

    private func complainOfName(_ section: Section, _ name: String, _ kind: String) {
        section.complain(
            "name", "'\(name)' is no name for \(kind)",
            "use 1 to \(VLANID.maximumByteCount) of A-Z, a-z, 0-9, dot, dash and underscore")
    }

    private func knownVLAN(_ name: String, _ mark: Mark?) -> VLANID? {
        if let vlan = self.vlans.first(where: { $0.id.name == name }) { return vlan.id }
        self.findings.add(
            mark, "there is no VLAN '\(name)' in 'vlans'", Self.suggestion(name, self.vlans.map(\.id.name)))
        return nil
    }

    private func accountSet(_ section: Section) -> AccountSet {
        let set = AccountSet(
            userIDs: self.numbers(section, "users", "user", self.accounts.userID),
            groupIDs: self.numbers(section, "groups", "group", self.accounts.groupID))
        if section.list("users").isEmpty, section.list("groups").isEmpty {
            section.complain(
                "name", "\(section.title) has neither users nor groups",
                "add 'users:' or 'groups:' with names or numbers")
        }
        return set
    }

    private func numbers(
        _ section: Section, _ key: String, _ kind: String, _ lookup: (String) throws -> UInt32?
    ) -> Set<UInt32> {
        var numbers: Set<UInt32> = []
        for node in section.list(key) {
            let name = node.scalar?.string ?? ""
            do {
                // The highest number means "none" to the kernel.
                if let number = UInt32(name), number < .max {
                    numbers.insert(number)
                } else if let number = try lookup(name) {
                    numbers.insert(number)
                } else {
                    self.findings.add(
                        node.mark, "this machine has no \(kind) '\(name)'",
                        "create it, or write another one or a number")
                }
            } catch {
                self.findings.add(node.mark, "the \(kind) '\(name)' could not be looked up (\(error))", "try again")
            }
        }
        return numbers
    }
}
