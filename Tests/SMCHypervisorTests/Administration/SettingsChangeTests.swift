import SMCHypervisor
import SMCWire
import Testing

/// From the books as they are to what a configuration says.
struct SettingsChangeTests {
    private static func vlan(_ name: String) -> VLANID { VLANID(name)! }
    private let web = Self.vlan("web")
    private let db = Self.vlan("db")

    /// Books as a hypervisor has them that was started with these settings.
    private func books(_ settings: HypervisorSettings) -> HypervisorStatus {
        HypervisorStatus(
            processID: 1, cec: CECID(high: 1, low: 2),
            pools: settings.pools.map {
                PoolStatus(
                    pool: $0.id, ringByteCount: 1 << 20, fileByteCount: 1 << 20,
                    blockCount: ($0.byteCount ?? 0) >> 20, freeCount: 0, reclaimingCount: 0)
            },
            vlans: settings.vlans.map {
                VLANStatus(definition: $0, usedByteCount: 0, limitByteCount: 0, partitionCount: 0)
            },
            definitions: settings.partitions, authorisations: settings.authorisations)
    }

    private var start: HypervisorSettings {
        var settings = HypervisorSettings(
            pools: [.init(.default, byteCount: 256 << 20)],
            vlans: [VLANDefinition(self.web, sliceByteCount: 1 << 20), VLANDefinition(self.db, access: .authorised)])
        settings.partitions = [PartitionDefinition(name: "orders", userIDs: [5, 6], groupIDs: [7])]
        settings.authorisations = [Authorisation(partition: "orders", vlan: self.db)]
        return settings
    }

    private func requests(
        to new: HypervisorSettings, books: HypervisorStatus? = nil
    ) throws -> [AdministrativeRequest] {
        try SettingsChange.requests(from: self.start, to: new, books: books ?? self.books(self.start))
    }

    @Test func nothingChangedMeansNothingToDo() throws {
        #expect(try self.requests(to: self.start) == [])
        var same = self.start
        same.partitions[0].userIDs = [6, 5]
        same.roles = [.init(name: "r", accounts: AccountSet(userIDs: [1]), rights: [.look])]
        same.limits.sessions = 3
        same.auditPath = "/a"
        #expect(try self.requests(to: same) == [], "not in the books")
    }

    @Test func additions() throws {
        var new = self.start
        let cache = VLANDefinition(Self.vlan("cache"))
        let shop = PartitionDefinition(name: "shop", userIDs: [9])
        let right = Authorisation(partition: "shop", vlan: cache.id, limitByteCount: 5)
        new.vlans.append(cache)
        new.partitions.append(shop)
        new.authorisations.append(right)
        #expect(try self.requests(to: new) == [.createVLAN(cache), .createPartition(shop), .authorise(right)])
    }

    @Test func changes() throws {
        var new = self.start
        new.vlans[0].sliceByteCount = 2 << 20
        new.vlans[1].isEnabled = false
        new.partitions[0].groupIDs = []
        new.authorisations[0].limitByteCount = 77
        #expect(
            try self.requests(to: new) == [
                .changeVLAN(new.vlans[0]), .setFunction(isEnabled: false, self.db), .changePartition(new.partitions[0]),
                .authorise(new.authorisations[0]),
            ])
    }

    @Test func removals() throws {
        var new = self.start
        new.vlans.removeLast()
        new.partitions = []
        new.authorisations = []
        #expect(
            try self.requests(to: new) == [
                .revoke(partition: "orders", self.db), .destroyPartition("orders", isForced: false),
                .destroyVLAN(self.db, isForced: false),
            ])
        // What is gone already is not removed again.
        var books = self.books(self.start)
        books.vlans.removeLast()
        books.definitions = []
        books.authorisations = []
        #expect(try self.requests(to: new, books: books) == [])
    }

    @Test func whatAdministratorsDidBesidesStaysUnlessTheFileSaysOtherwise() throws {
        var books = self.books(self.start)
        let own = VLANDefinition(Self.vlan("own"))
        books.vlans.append(VLANStatus(definition: own, usedByteCount: 0, limitByteCount: 0, partitionCount: 0))
        books.definitions.append(PartitionDefinition(name: "own", userIDs: [1]))
        books.authorisations.append(Authorisation(partition: "own", vlan: own.id))
        #expect(try self.requests(to: self.start, books: books) == [])
        // The file's own things come back.
        books.vlans[0].definition.isEnabled = false
        books.authorisations.removeFirst()
        #expect(
            try self.requests(to: self.start, books: books) == [
                .setFunction(isEnabled: true, self.web), .authorise(self.start.authorisations[0]),
            ])
        var without = self.start
        without.vlans.append(own)
        #expect(try self.requests(to: without, books: books).contains(.createVLAN(own)) == false)
    }

    struct Obstacle: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout HypervisorSettings) -> Void
    }

    static let obstacles = [
        Obstacle(testDescription: "'socket'") { $0.socketPath = "/other" },
        Obstacle(testDescription: "'serve'") { $0.service = .everyone },
        Obstacle(testDescription: "first VLAN") { $0.vlans.swapAt(0, 1) },
        Obstacle(testDescription: "'huge-pages'") { $0.pools[0].hugePages = .prefer },
        Obstacle(testDescription: "pool spare is new") { $0.pools.append(.init(PoolID("spare")!)) },
        Obstacle(testDescription: "pool default is gone") { $0.pools[0].id = PoolID("other")! },
        Obstacle(testDescription: "smc admin pool grow default 268435456") { $0.pools[0].byteCount = 512 << 20 },
        Obstacle(testDescription: "smc admin pool shrink default") { $0.pools[0].byteCount = 128 << 20 },
    ]

    @Test(arguments: obstacles) func whatNeedsANewStartIsRefused(_ obstacle: Obstacle) throws {
        var new = self.start
        new.vlans.append(VLANDefinition(Self.vlan("more")))
        obstacle.change(&new)
        let refusal = try #require(throws: SettingsRefusal.self) { _ = try self.requests(to: new) }
        #expect(refusal.description.contains(obstacle.testDescription), "\(refusal)")
    }

    @Test func aPoolThatWasGrownByHandMaySaySo() throws {
        var new = self.start
        new.pools[0].byteCount = 512 << 20
        var books = self.books(self.start)
        books.pools[0].blockCount = 510
        #expect(try self.requests(to: new, books: books) == [])
        // And need not.
        #expect(try self.requests(to: self.start, books: books) == [])
    }

    @Test func allObstaclesAreNamedAtOnce() throws {
        var new = self.start
        new.socketPath = "/other"
        new.service = .owner
        let refusal = try #require(throws: SettingsRefusal.self) { _ = try self.requests(to: new) }
        #expect(refusal.reasons.count == 2)
    }
}

struct SettingsRolesTests {
    private let web = VLANID("web")!
    private let db = VLANID("db")!

    private var settings: HypervisorSettings {
        var settings = HypervisorSettings()
        settings.roles = [
            .init(
                name: "a", accounts: AccountSet(userIDs: [1]), rights: [.look, .authorise], scope: .vlans([self.web])),
            .init(name: "b", accounts: AccountSet(groupIDs: [50]), rights: [.authorise], scope: .vlans([self.db])),
            .init(name: "c", accounts: AccountSet(userIDs: [2], groupIDs: [51]), rights: [.configure]),
        ]
        return settings
    }

    @Test func usersAndGroupsAddUp() {
        let none = self.settings.roles(userID: 9, groupIDs: [9, 10])
        let one = self.settings.roles(userID: 1, groupIDs: [1])
        let both = self.settings.roles(userID: 1, groupIDs: [1, 50])
        let boss = self.settings.roles(userID: 8, groupIDs: [51])
        for role in Roles.Role.allCases { #expect(!none.include(role, on: self.web)) }
        #expect(one.include(.authorise, on: self.web) && !one.include(.authorise, on: self.db))
        #expect(one.include(.look, on: self.web) && !one.include(.look, on: nil) && !one.include(.quota, on: self.web))
        #expect(both.include(.authorise, on: self.web) && both.include(.authorise, on: self.db))
        #expect(!both.include(.look, on: self.db) && !both.include(.authorise, on: nil))
        #expect(boss.include(.configure, on: nil) && boss.include(.configure, on: self.db))
        #expect(!boss.include(.look, on: self.web))
    }
}
