import Foundation
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCWire
import Testing

/// Pools of a running hypervisor, with real memory.
@Suite(.serialized) struct DaemonPoolTests {
    /// Growth beyond what the machine has is refused, and the hypervisor lives on.
    @Test func whatTheMachineHasNotIsRefusedAtTheStart() throws {
        var template = Array((NSTemporaryDirectory() + "smc-test-XXXXXX").utf8CString)
        let directory = String(cString: mkdtemp(&template))
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var configuration = HypervisorConfiguration(socketPath: directory + "/h.sock", poolByteCount: 1 << 20)
        // One class, so that it is not the descriptors that are short.
        configuration.pools[0].classes = [.init(ringByteCount: 512 << 20, blockCount: 1 << 10)]
        let daemon = try HypervisorDaemon(configuration: configuration, logger: TestLog().logger)
        do {
            try daemon.run()
            Issue.record("it has half a terabyte")
        } catch {
            guard case .unsuitable(let text) = error else { throw error }
            #expect(text.contains("leaves only"), "\(text)")
        }
    }

    @Test func severalPoolsAreShown() throws {
        let (small, large) = (PoolID("small")!, PoolID("large")!)
        let daemon = try TestDaemon {
            $0.pools = [
                PoolConfiguration(small, byteCount: 1 << 20),
                PoolConfiguration(large, byteCount: 0, classes: [.init(ringByteCount: 4 << 20, blockCount: 2)]),
            ]
        }
        let pools = try daemon.status().pools
        #expect(Set(pools.map(\.pool)) == [small, large] && pools.allSatisfy { $0.pages == .ordinary })
        #expect(pools.last?.fileByteCount == (4 << 20) + 4096 && pools.last?.blockCount == 2)
    }

    @Test(arguments: [
        [], [PoolConfiguration(byteCount: 1)], Array(repeating: PoolConfiguration(byteCount: 1 << 20), count: 2),
        [PoolConfiguration(byteCount: 1 << 20, wantsHugePages: true)],
        [PoolConfiguration(byteCount: 0, classes: [.init(ringByteCount: 16_385, blockCount: 1)])],
        [PoolConfiguration(byteCount: 0, classes: [.init(ringByteCount: 1 << 30, blockCount: 1)])],
        [PoolConfiguration(byteCount: 0, classes: [.init(ringByteCount: 16_384, blockCount: -1)])],
        [PoolConfiguration(byteCount: 0, classes: [])],
        (0..<9).map { PoolConfiguration(PoolID("p\($0)")!, byteCount: 1 << 20) },
    ]) func poolsThatCannotBeAreRefused(pools: [PoolConfiguration]) throws {
        #expect(PoolConfiguration.problem(pools) != nil)
        #expect(PoolConfiguration.problem([PoolConfiguration(byteCount: 1 << 20)]) == nil)
    }

    // MARK: Huge pages

    private static func free() -> Int {
        FileSystem.text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")?
            .split(separator: "\n").first.flatMap { Int($0) } ?? 0
    }

    /// Sets huge pages aside for the time of the body, as root.
    ///
    /// - Returns: false when there are none to be had, and the body was not run.
    private static func withHugePages(_ count: Int, _ body: () throws -> Void) rethrows -> Bool {
        let path = "/proc/sys/vm/nr_hugepages"
        let before = FileSystem.text(path)?.split(separator: "\n").first.flatMap { Int($0) } ?? 0
        func set(_ number: Int) {
            if getuid() == 0 { try? Data("\(number)".utf8).write(to: URL(fileURLWithPath: path)) }
        }
        set(before + count)
        defer { set(before) }
        guard Self.free() >= count else { return false }
        try body()
        return true
    }

    @Test func aPoolOfHugePages() throws {
        let isTested = try Self.withHugePages(20, Self.useHugePool)
        if !isTested { print("DaemonPoolTests.aPoolOfHugePages: no huge pages to be had; only the fallback is tested") }
    }

    private static func useHugePool() throws {
        let daemon = try TestDaemon { $0.pools = [PoolConfiguration(byteCount: 40 << 20, wantsHugePages: true)] }
        let pools = try daemon.status().pools
        #expect(pools.allSatisfy { $0.pages == .huge } && pools.map(\.ringByteCount) == [1 << 20, 4 << 20, 16 << 20])
        let one = try TestPartition(daemon, "one")
        let owner = try Self.useLastByte(of: try one.session.createSMB(ringByteCount: 2 << 20, on: one.address))
        try one.session.destroy(owner)
        #expect(try daemon.waitForStatus { $0.pools == pools }, "it comes back")
    }

    private static func useLastByte(of created: consuming CreatedSMB) throws -> OwnerToken {
        let sizes = [created.ringByteCount, created.file.byteCount]
        #expect(sizes == [4 << 20, 6 << 20])
        try Mapping(created.file).put(7, at: (6 << 20) - 1)
        return created.owner
    }

    /// More than there are: ordinary ones, and both log and books say so.
    @Test func withoutHugePagesThePoolIsOrdinary() throws {
        let log = TestLog()
        let daemon = try TestDaemon(logger: log.logger) {
            $0.pools = [PoolConfiguration(byteCount: max(8 << 20, (Self.free() + 4) << 21), wantsHugePages: true)]
        }
        let pools = try daemon.status().pools
        #expect(!pools.isEmpty && pools.allSatisfy { $0.pages == .ordinaryForHuge })
        #expect(pools.first?.fileByteCount == 20_480)
        #expect(log.lines.contains { $0.hasPrefix("notice") && $0.contains("ordinary pages") }, "\(log.lines)")
        let one = try TestPartition(daemon, "one")
        _ = try one.session.createSMB(ringByteCount: 1, on: one.address)
    }
}

/// Growing, shrinking and limits while the hypervisor runs.
@Suite(.serialized) struct DaemonPoolChangeTests {
    @Test func aPoolGrowsWhileOthersAreServed() throws {
        let daemon = try TestDaemon(poolByteCount: 1 << 20)
        let one = try TestPartition(daemon, "one")
        #expect(refusal { _ = try one.session.createSMB(ringByteCount: 1 << 20, on: one.address) } == .sizeTooLarge)
        let before = try daemon.status().pools.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
        let administrator = try daemon.connect()
        let grown = try administrator.growPool(.default, byteCount: 48 << 20)
        #expect(grown > 47 << 20 && grown <= 48 << 20)
        let after = try daemon.status().pools.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
        #expect(after == before + grown)
        let created = try one.session.createSMB(ringByteCount: 1 << 20, on: one.address)
        let byte = try Mapping(created.file).byte(at: 1 << 20)
        #expect(byte == 0)
    }

    /// Two growths at once, and one whose administrator does not wait for it: all or nothing of each.
    @Test func growthsTakeTurns() throws {
        let daemon = try TestDaemon(poolByteCount: 1 << 20)
        let before = try daemon.status().pools.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
        let impatient = try daemon.connect()
        #expect(throws: ControlError.self) {
            _ = try impatient.growPool(.default, byteCount: 64 << 20, timeout: .milliseconds(1))
        }
        let grown = try daemon.connect().growPool(.default, byteCount: 16 << 20)
        _ = consume impatient
        let sizes = try daemon.status().pools.reduce(0) { $0 + $1.blockCount * $1.fileByteCount } - before
        #expect(sizes == grown || sizes > grown + (60 << 20), "\(sizes)")
    }

    @Test func whatCannotBeHadIsRefused() throws {
        let daemon = try TestDaemon(poolByteCount: 1 << 20)
        let administrator = try daemon.connect()
        let before = try administrator.status().pools
        for byteCount in [1 << 40, 1 << 50, Int.max] {
            #expect(refusal { _ = try administrator.growPool(.default, byteCount: byteCount) } == .outOfResources)
        }
        #expect(refusal { _ = try administrator.growPool(.default, byteCount: 1000) } == .sizeTooSmall)
        #expect(refusal { _ = try administrator.growPool(PoolID("x")!, byteCount: 1 << 20) } == .unknownPool)
        #expect(refusal { _ = try administrator.shrinkPool(PoolID("x")!, byteCount: 1 << 20) } == .unknownPool)
        #expect(try administrator.status().pools == before)
    }

    @Test func shrinkingLeavesWhatAnybodyHas() throws {
        let daemon = try TestDaemon(poolByteCount: 8 << 20)
        let one = try TestPartition(daemon, "one")
        let created = try one.session.createSMB(ringByteCount: 16_384, on: one.address)
        let mapping = try Mapping(created.file)
        mapping.put(7, at: 20_479)
        let all = try daemon.status().pools.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
        let administrator = try daemon.connect()
        let some = try administrator.shrinkPool(.default, byteCount: 1 << 20)
        #expect(some > 0 && some <= 1 << 20)
        #expect(try administrator.shrinkPool(.default, byteCount: .max) == all - some - 20_480)
        #expect(mapping.byte(at: 20_479) == 7)
        #expect(refusal { _ = try one.session.createSMB(ringByteCount: 1, on: one.address) } == .poolExhausted)
        #expect(try administrator.growPool(.default, byteCount: 1 << 20) > 0)
        _ = try one.session.createSMB(ringByteCount: 1, on: one.address)
    }

    @Test func limitsOfVLANsAndPartitionsAreNamed() throws {
        let daemon = try TestDaemon()
        let administrator = try daemon.connect()
        try administrator.administer(.setSlice(.default, byteCount: 70_000))
        try administrator.administer(
            .createPartition(PartitionDefinition(name: "small", userIDs: [getuid()], limitByteCount: 50_000)))
        let (small, other) = (try TestPartition(daemon, "small"), try TestPartition(daemon, "other"))
        var texts: [String] = []
        func create(_ partition: TestPartition) throws {
            do {
                _ = try partition.session.createSMB(ringByteCount: 1, on: partition.address)
            } catch ControlError.refused(let code, let text) {
                texts.append("\(code.rawValue): \(text)")
            }
        }
        for _ in 0..<3 { try create(small) }
        #expect(texts.count == 1 && texts[0].hasPrefix("32: The partition 'small' uses 40960 of the 50000"))
        for _ in 0..<2 { try create(other) }
        #expect(texts.count == 2 && texts[1].hasPrefix("12: VLAN default uses 61440 of the 70000"))
        // A second session of the partition has no other account.
        try create(try TestPartition(daemon, "small"))
        #expect(texts.count == 3 && texts[2].hasPrefix("32: "), "\(texts)")
    }
}
