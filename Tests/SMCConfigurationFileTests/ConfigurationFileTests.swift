import SMCConfigurationFile
import SMCHypervisor
import SMCWire
import Testing

struct ConfigurationFileTests {
    /// Names of users and groups of a machine that does not exist.
    static let accounts = ConfigurationFile.AccountLookup(
        userID: { ["alice": 1000, "bob": 1001, "postgres": 70][$0] },
        groupID: { name in
            if name == "slow" { throw LookupFailure() }
            return ["ops": 500, "dba": 501][name]
        })

    struct LookupFailure: Error, CustomStringConvertible {
        var description: String { "no answer" }
    }

    static func settings(_ text: String) throws -> HypervisorSettings {
        try ConfigurationFile.settings(from: text, name: "smc.yaml", accounts: Self.accounts)
    }

    private static let everything =
        """
        # The machine of the shop.
        socket: /run/smc/hypervisor.sock
        serve: everyone
        pools:
          - name: main
            size: 1G
            huge-pages: prefer
          - {name: spare, size: 65536, huge-pages: never}
        vlans:
          - name: web
            slice: 256M
            partition-limit: 64M
          - name: db
            pool: spare
            access: authorised
            enabled: false
        partitions:
          - name: shop
            users: [alice, 4711]
            groups: ops
            limit: 1M
            vlans:
              - web
              - {name: db, limit: 16K}
        roles:
          - name: operators
            groups: [ops, 77]
            rights: [look, authorise]
            vlans: [db]
          - name: boss
            users: bob
            rights: [look, authorise, quota, configure]
            vlans: all
        limits:
          sessions: 2000
          partitions: 1500
          handshake-seconds: 3
        audit-file: /var/log/smc/audit.jsonl
        log-level: notice
        """

    @Test func everythingThatCanBeSaid() throws {
        let settings = try Self.settings(Self.everything)
        let (web, db) = (try #require(VLANID("web")), try #require(VLANID("db")))
        let (main, spare) = (try #require(PoolID("main")), try #require(PoolID("spare")))
        var expected = HypervisorSettings(
            pools: [
                .init(main, byteCount: 1 << 30, hugePages: .prefer),
                .init(spare, byteCount: 65536, hugePages: .never),
            ],
            vlans: [
                VLANDefinition(web, pool: main, sliceByteCount: 256 << 20, partitionLimitByteCount: 64 << 20),
                VLANDefinition(db, pool: spare, access: .authorised, isEnabled: false),
            ])
        expected.socketPath = "/run/smc/hypervisor.sock"
        expected.service = .everyone
        expected.partitions = [
            PartitionDefinition(name: "shop", userIDs: [1000, 4711], groupIDs: [500], limitByteCount: 1 << 20)
        ]
        expected.authorisations = [
            Authorisation(partition: "shop", vlan: web),
            Authorisation(partition: "shop", vlan: db, limitByteCount: 16384),
        ]
        expected.roles = [
            .init(
                name: "operators", accounts: AccountSet(groupIDs: [500, 77]), rights: [.look, .authorise],
                scope: .vlans([db])),
            .init(name: "boss", accounts: AccountSet(userIDs: [1001]), rights: Set(Roles.Role.allCases)),
        ]
        expected.limits.sessions = 2000
        expected.limits.partitions = 1500
        expected.limits.handshakeSeconds = 3
        expected.auditPath = "/var/log/smc/audit.jsonl"
        expected.logLevel = .notice
        #expect(settings == expected)
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "~\n", "vlans:\n", "pools: []\nvlans: ~\n"])
    func nothingSaidMeansTheUsual(_ text: String) throws {
        let settings = try Self.settings(text)
        #expect(settings == HypervisorSettings())
    }

    /// A file, and its only complaint: place, what is wrong, what to do.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var text: String
        var place: String
        var parts: [String]
        var testDescription: String { self.text }

        init(_ text: String, _ place: String, _ parts: String...) {
            self.text = text
            self.place = place
            self.parts = parts
        }
    }

    static let mistakes = [
        // YAML itself.
        Mistake("pools:\n\t- name: main\n", "2:1", "cannot start any token", "indentation"),
        Mistake("serve: everyone\n  socket: /x\n", "2:9", "mapping values", "indentation"),
        Mistake("serve: 'everyone\n", "2:1", "unexpected end of stream", "quotes"),
        Mistake("vlans: [web\n", "2:1", "did not find expected ',' or ']'", "indentation"),
        Mistake("socket: /a\nserve: owner\nsocket: /b\n", "1:1", "'socket' stands here and once more", "keep one"),
        Mistake("vlans: *web\n", "1:8", "undefined alias", "only what stands above"),
        Mistake("serve: owner\n---\nserve: owner\n", "2:1", "another document", "one document"),
        Mistake("serve: owner\nsocket: \u{1}\n", "2:9", "control characters", "remove"),
        // Keys.
        Mistake("vlan:\n  - name: web\n", "1:1", "the file has no key 'vlan'", "did you mean 'vlans'?"),
        Mistake("pools:\n  - name: main\n    sise: 1M\n", "3:5", "pool 'main' has no key 'sise'", "'size'"),
        Mistake("pools:\n  - name: main\n    huge_pages: never\n", "3:5", "'huge_pages'", "'huge-pages'"),
        Mistake("limits: {sesions: 1}\n", "1:10", "limits has no key 'sesions'", "'sessions'"),
        Mistake(
            "limits: {colour: red}\n", "1:10", "no key 'colour'", "sessions, partitions or handshake-seconds"),
        Mistake("- web\n- db\n", "1:1", "the file is not a list of keys", "'vlans:'"),
        Mistake("vlans:\n  - web\n", "2:5", "VLAN is not a list of keys", "'name:'"),
        Mistake("vlans:\n  - slice: 1M\n", "2:5", "VLAN has no 'name'", "add 'name:'"),
        // Values.
        Mistake("serve: everybody\n", "1:8", "'serve' of the file is 'everybody'", "did you mean everyone?"),
        Mistake("serve: [owner]\n", "1:8", "more than one value", "one value"),
        Mistake("log-level: loud\n", "1:12", "'loud'", "trace, debug, info"),
        Mistake("socket: run/h.sock\n", "1:9", "'run/h.sock'", "whole path"),
        Mistake("audit-file: audit\n", "1:13", "'audit'", "whole path"),
        Mistake("pools: [{name: main, size: 12X}]\n", "1:28", "'12X', which is no size", "256M"),
        Mistake("pools: [{name: main, size: 0}]\n", "1:28", "no size", "K, M, G or T"),
        Mistake("pools: [{name: main, size: 1\u{df}}]\n", "1:28", "no size", "256M"),
        Mistake("pools: [{name: main, size: 99999999T}]\n", "1:28", "no size", "256M"),
        Mistake("pools: [{name: main, huge-pages: yes}]\n", "1:34", "'yes'", "never or prefer"),
        Mistake("limits: {sessions: many}\n", "1:20", "'many'", "from 1 to 1000000"),
        Mistake("limits: {partitions: 0}\n", "1:22", "'0'", "from 1"),
        Mistake("vlans: [{name: web, enabled: maybe}]\n", "1:30", "'maybe'", "true or false"),
        Mistake("vlans: [{name: web, access: closed}]\n", "1:29", "'closed'", "open or authorised"),
        Mistake("vlans: [{name: a b}]\n", "1:16", "'a b' is no name for a VLAN", "A-Z"),
        // What one says about the other.
        Mistake("vlans: [{name: web, pool: man}]\n", "1:27", "pool 'man', which", "there is default"),
        Mistake("vlans: [{name: web}, {name: web}]\n", "1:29", "'web' stands twice in 'vlans'", "rename"),
        Mistake("pools: [{name: a}, {name: a}]\n", "1:27", "'a' stands twice in 'pools'", "rename"),
        Mistake(
            "pools: [{name: main, size: 1M}]\nvlans: [{name: web, slice: 2M}]\n", "2:28", "larger than its pool",
            "'main' larger"),
        Mistake(
            "vlans: [{name: web, slice: 1M, partition-limit: 2M}]\n", "1:49", "larger than its slice", "smaller"),
        Mistake(
            "vlans: [{name: web}]\npartitions: [{name: p, users: 1, vlans: [wbe]}]\n", "2:42",
            "no VLAN 'wbe'", "did you mean 'web'?"),
        Mistake(
            "vlans: [{name: web}]\npartitions: [{name: p, users: 1, vlans: [{name: x}]}]\n", "2:49",
            "no VLAN 'x'", "there is web"),
        Mistake("partitions: [{name: p, users: 1}]\n", "1:14", "partition 'p' is on no VLAN", "add 'vlans:'"),
        Mistake("partitions: [{name: p, vlans: default}]\n", "1:21", "neither users nor groups", "add 'users:'"),
        Mistake("roles: [{name: r, users: 1}]\n", "1:9", "role 'r' has no rights", "look, authorise, quota"),
        Mistake("roles: [{name: r, users: 1, rights: [loook]}]\n", "1:38", "'loook'", "did you mean 'look'?"),
        Mistake(
            "roles: [{name: r, users: 1, rights: look, vlans: [default, web]}]\n", "1:60", "no VLAN 'web'",
            "default"),
        // The machine.
        Mistake("roles: [{name: r, users: [alise], rights: look}]\n", "1:27", "no user 'alise'", "create it"),
        Mistake("roles: [{name: r, groups: [wheel], rights: look}]\n", "1:28", "no group 'wheel'", "create it"),
        Mistake("roles: [{name: r, users: [4294967295], rights: look}]\n", "1:27", "no user '4294967295'", "number"),
        Mistake("roles: [{name: r, groups: slow, rights: look}]\n", "1:27", "'slow'", "no answer", "try again"),
    ]

    @Test(arguments: mistakes) func mistakesAreNamedWithTheirPlaceAndAWayOut(_ mistake: Mistake) throws {
        let error = try #require(throws: ConfigurationFileError.self) { _ = try Self.settings(mistake.text) }
        #expect(error.complaints.count == 1, "\(error)")
        #expect(error.description.hasPrefix("smc.yaml:\(mistake.place): "), "\(error)")
        for part in mistake.parts { #expect(error.description.contains(part), "\(error) has no '\(part)'") }
    }

    @Test func allMistakesAreSaidAtOnceInTheOrderOfTheFile() throws {
        let error = try #require(throws: ConfigurationFileError.self) {
            _ = try Self.settings(
                """
                log-levle: info
                vlans:
                  - name: web
                    enabled: perhaps
                    slice: much
                sockt: /x
                """)
        }
        #expect(error.complaints.map(\.line) == [1, 4, 5, 6])
        #expect(error.description.split(separator: "\n").count == 4)
    }

    @Test func tooManyVLANs() throws {
        let names = (0...ControlLimits.vlansPerHypervisor).map { "  - name: v\($0)" }.joined(separator: "\n")
        let error = try #require(throws: ConfigurationFileError.self) { _ = try Self.settings("vlans:\n\(names)\n") }
        #expect(error.description.contains("at most \(ControlLimits.vlansPerHypervisor),"), "\(error)")
    }

    @Test(arguments: [
        ("1", 1), ("16K", 16384), ("16k", 16384), ("3M", 3 << 20), ("2G", 2 << 30), ("1T", 1 << 40),
    ]) func sizes(_ text: String, _ count: Int) {
        #expect(ByteCountText.parse(text) == count)
    }

    @Test(arguments: [
        "", "K", "-1", "+1", "1.5M", "1 M", "0", "0K", "1KB", "1ß", "٣", "9999999999999999999", "9000000T",
    ])
    func noSizes(_ text: String) {
        #expect(ByteCountText.parse(text) == nil)
    }
}
