internal import SMCHypervisor
internal import SMCWire
internal import Yams

/// Reads the sections of a configuration file, and checks what they say about each other.
struct SettingsReader {
    private let findings: Findings
    private let accounts: ConfigurationFile.AccountLookup
    private var pools: [HypervisorSettings.Pool] = []
    private var vlans: [HypervisorSettings.VLAN] = []

    init(_ findings: Findings, _ accounts: ConfigurationFile.AccountLookup) {
        self.findings = findings
        self.accounts = accounts
    }

    private static let keys = [
        "socket", "serve", "pools", "vlans", "partitions", "roles", "limits", "audit-file", "log-level",
    ]

    mutating func read(_ root: Node?) -> HypervisorSettings {
        let standard = HypervisorSettings.Pool(name: ConfigurationFile.defaultPoolName)
        let all = root.flatMap { Self.isNothing($0) ? nil : $0 }
        guard let all, let file = Section(all, title: "the file", keys: Self.keys, self.findings) else {
            return HypervisorSettings(pools: [standard], vlans: [.init(id: .default, pool: standard.name)])
        }
        self.pools = file.sections("pools", of: "pool", keys: ["name", "size", "huge-pages"]).compactMap(self.pool)
        if self.pools.isEmpty { self.pools = [standard] }
        self.noteDuplicates(file, "pools", self.pools.map(\.name))
        self.vlans = file.sections(
            "vlans", of: "VLAN", keys: ["name", "pool", "slice", "partition-limit", "access", "enabled"]
        ).compactMap(self.vlan)
        if self.vlans.isEmpty { self.vlans = [.init(id: .default, pool: self.pools[0].name)] }
        self.noteDuplicates(file, "vlans", self.vlans.map(\.id.name))
        if self.vlans.count > ControlLimits.vlansPerHypervisor {
            file.complain(
                "vlans", "there are \(self.vlans.count) VLANs",
                "a hypervisor has at most \(ControlLimits.vlansPerHypervisor); run a second one for the others")
        }
        var settings = HypervisorSettings(pools: self.pools, vlans: self.vlans)
        settings.partitions = file.sections("partitions", of: "partition", keys: ["name", "users", "groups", "vlans"])
            .compactMap(self.partition)
        self.noteDuplicates(file, "partitions", settings.partitions.map(\.name))
        settings.roles = file.sections("roles", of: "role", keys: ["name", "users", "groups", "rights", "vlans"])
            .compactMap(self.role)
        self.noteDuplicates(file, "roles", settings.roles.map(\.name))
        settings.socketPath = self.path(file, "socket")
        settings.auditPath = self.path(file, "audit-file")
        settings.service = file.word("serve", HypervisorSettings.Service.self)
        settings.logLevel = file.word("log-level", HypervisorSettings.LogLevel.self)
        if let node = file.node("limits") { settings.limits = self.limits(node) }
        return settings
    }

    private static func isNothing(_ node: Node) -> Bool {
        node.scalar.map { $0.style == .plain && ["", "~", "null"].contains($0.string) } ?? false
    }

    private func noteDuplicates(_ file: Section, _ key: String, _ names: [String]) {
        var seen: Set<String> = []
        // The nodes of the names, in the same order as long as nothing else is wrong.
        let nodes = file.list(key).compactMap { node in
            node.mapping?.first { $0.key.scalar?.string == "name" }?.value
        }
        for node in nodes {
            guard let name = node.scalar?.string, !seen.insert(name).inserted, names.contains(name) else { continue }
            self.findings.add(node.mark, "'\(name)' stands twice in '\(key)'", "keep one of them, or rename one")
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
        return name.map { HypervisorSettings.Pool(name: $0, byteCount: size, hugePages: hugePages ?? .prefer) }
    }

    private func vlan(_ section: Section) -> HypervisorSettings.VLAN? {
        let id = section.requiredText("name").flatMap { self.vlanID($0, section, "name") }
        let poolName = section.text("pool") ?? self.pools[0].name
        let pool = self.pools.first { $0.name == poolName }
        if pool == nil {
            section.complain(
                "pool", "\(section.title) is to be in pool '\(poolName)', which 'pools' does not have",
                Self.suggestion(poolName, self.pools.map(\.name)))
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
        let access = section.word("access", HypervisorSettings.VLAN.Access.self)
        let isEnabled = section.flag("enabled")
        return id.map {
            HypervisorSettings.VLAN(
                id: $0, pool: poolName, sliceByteCount: slice, partitionByteCount: partitionLimit,
                access: access ?? .open, isEnabled: isEnabled ?? true)
        }
    }

    private func partition(_ section: Section) -> HypervisorSettings.Partition? {
        let name = section.requiredText("name")
        if let name, name.utf8.count > ControlLimits.nameByteCount {
            section.complain(
                "name", "the name of \(section.title) has \(name.utf8.count) bytes",
                "use at most \(ControlLimits.nameByteCount)")
        }
        let accounts = self.accountSet(section)
        let nodes = section.list("vlans")
        if nodes.isEmpty {
            section.complain("vlans", "\(section.title) is on no VLAN", "add 'vlans:' with one or more names")
        }
        if nodes.count > ControlLimits.vlansPerPartition {
            section.complain(
                "vlans", "\(section.title) is on \(nodes.count) VLANs", "use at most \(ControlLimits.vlansPerPartition)")
        }
        let memberships = nodes.compactMap { self.membership($0, section) }
        return name.map { HypervisorSettings.Partition(name: $0, accounts: accounts, memberships: memberships) }
    }

    /// The name of a VLAN alone, or with a limit.
    private func membership(_ node: Node, _ partition: Section) -> HypervisorSettings.Partition.Membership? {
        if let scalar = node.scalar {
            return self.knownVLAN(scalar.string, node.mark).map { .init(vlan: $0) }
        }
        guard
            let section = Section(
                node, title: "a VLAN of \(partition.title)", keys: ["name", "limit"], self.findings),
            let name = section.requiredText("name"), let vlan = self.knownVLAN(name, section.node("name")?.mark)
        else { return nil }
        return .init(vlan: vlan, limitByteCount: section.byteCount("limit"))
    }

    private func role(_ section: Section) -> AdministrativeRole? {
        let name = section.requiredText("name")
        let accounts = self.accountSet(section)
        let known = AdministrativeRight.allCases.map(\.rawValue)
        var rights: Set<AdministrativeRight> = []
        for node in section.list("rights") {
            let word = node.scalar?.string ?? ""
            if let right = AdministrativeRight(rawValue: word) {
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
        return name.map { AdministrativeRole(name: $0, accounts: accounts, rights: rights, scope: scope) }
    }

    /// `all`, which is also meant when nothing is said, or names.
    private func scope(_ section: Section) -> AdministrativeRole.Scope {
        let nodes = section.list("vlans")
        if nodes.isEmpty || nodes.count == 1 && nodes[0].scalar?.string == "all" { return .everywhere }
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

    private func vlanID(_ name: String, _ section: Section, _ key: String) -> VLANID? {
        if let id = VLANID(name) { return id }
        section.complain(
            key, "'\(name)' is no name for a VLAN",
            "use 1 to \(VLANID.maximumByteCount) of A-Z, a-z, 0-9, dot, dash and underscore")
        return nil
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
                        node.mark, "this machine has no \(kind) '\(name)'", "create it, or write another one or a number")
                }
            } catch {
                self.findings.add(node.mark, "the \(kind) '\(name)' could not be looked up (\(error))", "try again")
            }
        }
        return numbers
    }
}
