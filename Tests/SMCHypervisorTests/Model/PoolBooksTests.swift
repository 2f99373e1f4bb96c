import SMCSystem
import SMCTesting
import SMCWire
import Testing

@testable import SMCHypervisor

/// The books of the pools against a second, simpler set.
@Suite struct PoolBooksTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func randomStepsKeepTheSums(seed: UInt64) {
        print("PoolBooksTests.randomStepsKeepTheSums: seed \(seed)")
        var world = BooksWorld(seed: seed)
        for step in 0..<5_000 {
            world.step()
            if step % 32 == 0 { world.check() }
            if let failure = world.failure {
                Issue.record("seed \(seed), step \(step): \(failure)")
                return
            }
        }
        world.check()
        #expect(world.failure == nil, "seed \(seed)")
        // The steps must get somewhere, or nothing was tried.
        #expect(world.counts.taken > 200 && world.counts.refused > 50 && world.counts.replaced > 50, "seed \(seed)")
        #expect(world.counts.removed > 50, "seed \(seed)")
    }

    private static let vlan = VLANID("web")!
    private static let holder = BlockHolder(vlan: vlan, partition: .session(CallerID(1)))

    private static func books(_ classes: [(Int, Int)]) -> PoolBooks {
        PoolBooks([
            PoolLayout(
                .default,
                PoolGeometry(
                    controlByteCount: 4096,
                    classes: classes.map { PoolGeometry.SizeClass(ringByteCount: $0.0, blockCount: $0.1) }))
        ])
    }

    private static func request(_ byteCount: Int, limits: [PoolLimit] = []) -> BlockRequest {
        BlockRequest(ringByteCount: byteCount, holder: Self.holder, pools: nil, limits: limits)
    }

    private func refusal(_ body: () throws(Refused) -> Void) -> Refused? {
        do throws(Refused) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test func aRefusalNamesTheLimit() throws {
        var books = Self.books([(16_384, 4)])
        let limits: [(PoolLimit, String)] = [
            (PoolLimit(account: .vlan(Self.vlan), byteCount: 30_000, name: "VLAN web"), "VLAN web"),
            (PoolLimit(account: .slice(Self.vlan, .default), byteCount: 30_000, name: "The slice"), "The slice"),
            (
                PoolLimit(account: .partition(.session(CallerID(1))), byteCount: 30_000, name: "Partition a"),
                "Partition a"
            ),
            (
                PoolLimit(account: .member(.session(CallerID(1)), Self.vlan), byteCount: 30_000, name: "a on web"),
                "a on web"
            ),
        ]
        let first = try books.take(Self.request(1))
        for (limit, name) in limits {
            let refused = self.refusal { () throws(Refused) in _ = try books.take(Self.request(1, limits: [limit])) }
            #expect(refused?.code == limit.refusal)
            #expect(refused?.text.hasPrefix("\(name) uses 20480 of the 30000 bytes") == true, "\(refused?.text ?? "-")")
        }
        // Limits of others do not count.
        let others: [PoolAccount] = [
            .vlan(.default), .partition(.session(CallerID(2))), .member(.session(CallerID(1)), .default),
        ]
        let second = try books.take(
            Self.request(1, limits: others.map { PoolLimit(account: $0, byteCount: 0, name: "other") }))
        #expect(first != second)
        _ = try books.take(Self.request(1))
        _ = try books.take(Self.request(1))
        let full = self.refusal { () throws(Refused) in _ = try books.take(Self.request(1)) }
        #expect(full?.code == .poolExhausted && full?.text.contains("0 of 4 with 16384 bytes") == true)
        let large = self.refusal { () throws(Refused) in _ = try books.take(Self.request(16_385)) }
        #expect(large?.code == .sizeTooLarge)
    }

    /// A limit that was lowered below what is in use refuses, and nothing overflows.
    @Test func limitsMayBeAnything() throws {
        var books = Self.books([(16_384, 4)])
        _ = try books.take(Self.request(1))
        for byteCount in [0, -1, Int.min + 20_480, 20_479, 20_480] {
            let limit = PoolLimit(account: .vlan(Self.vlan), byteCount: byteCount, name: "VLAN web")
            let refused = self.refusal { () throws(Refused) in _ = try books.take(Self.request(1, limits: [limit])) }
            #expect(refused?.code == .poolExhausted)
        }
        let none = PoolLimit(account: .vlan(Self.vlan), byteCount: .max, name: "VLAN web")
        _ = try books.take(Self.request(1, limits: [none]))
    }

    /// Whoever replaces memory gets the same size of the same pool, or nothing changes.
    @Test func aReplacementIsOfTheSameClass() throws {
        var books = Self.books([(16_384, 2), (65_536, 1)])
        let old = try books.take(Self.request(1))
        let new = try books.replace(old, limits: [])
        #expect(new != old && books.ringByteCount(new) == 16_384)
        #expect(books.use(old) == .reclaiming(Self.holder) && books.use(new) == .used(Self.holder))
        #expect(books.usedByteCount(.vlan(Self.vlan)) == 2 * 20_480, "the old one counts until nobody has it")
        // A larger one is free, but it could not stand in the old one's place.
        let refused = self.refusal { () throws(Refused) in _ = try books.replace(new, limits: []) }
        #expect(refused?.code == .poolExhausted && books.use(new) == .used(Self.holder))
        books.reclaimed(old)
        #expect(try books.replace(new, limits: []) == old)
    }

    @Test func shrinkingLeavesWhatIsInUse() throws {
        var books = Self.books([(16_384, 3), (65_536, 2)])
        let kept = try books.take(Self.request(1))
        let reclaiming = try books.take(Self.request(1))
        books.giveBack(reclaiming)
        let removed = try books.shrink(.default, byteCount: .max)
        #expect(removed.count == 3, "all free ones, and no others")
        #expect(books.use(kept) != nil && books.use(reclaiming) != nil && books.byteCount() == 2 * 20_480)
        #expect(try books.shrink(.default, byteCount: 1 << 30).isEmpty)
        // A size that was there is exhausted, not unheard of: whoever asks for it may try a smaller one.
        let refused = self.refusal { () throws(Refused) in _ = try books.take(Self.request(65_536)) }
        #expect(refused?.code == .poolExhausted)
        #expect(books.largestRingByteCount() == 16_384)
        books.reclaimed(reclaiming)
        #expect(try books.take(Self.request(1)) == reclaiming)
    }

    @Test func shrinkingTakesNoMoreThanIsAsked() throws {
        var books = Self.books([(16_384, 8), (1 << 20, 4)])
        let before = books.byteCount()
        let removed = try books.shrink(.default, byteCount: (1 << 20) + 8192 + 20_480)
        #expect(removed.count == 2, "one of each")
        #expect(books.byteCount() == before - ((1 << 20) + 4096) - 20_480)
        #expect(try books.shrink(.default, byteCount: 20_479).isEmpty)
        #expect(self.refusal { () throws(Refused) in _ = try books.shrink(PoolID("x")!, byteCount: 1) } != nil)
    }

    @Test func growthIsBookedAsItWasPlanned() throws {
        var books = Self.books([(16_384, 1)])
        let growth = try books.growth(of: .default, byteCount: 4 << 20)
        #expect(growth.byteCount <= 4 << 20 && growth.byteCount > 3 << 20)
        #expect(books.blockCount == 1, "nothing is there yet")
        let added = books.add(growth)
        #expect(added.count == growth.blockCount && Set(added).count == added.count)
        #expect(books.byteCount() == 20_480 + growth.byteCount)
        var sizes = growth.parts.flatMap { Array(repeating: $0.ringByteCount, count: $0.blockCount) }
        for block in added { #expect(books.ringByteCount(block) == sizes.removeFirst()) }
        #expect(books.largestRingByteCount() == 1 << 20)
        for (pool, byteCount) in [(PoolID.default, 1000), (PoolID("other")!, 4 << 20)] {
            let refused = self.refusal { () throws(Refused) in _ = try books.growth(of: pool, byteCount: byteCount) }
            #expect(refused?.code == (pool == .default ? .sizeTooSmall : .unknownPool))
        }
    }

    /// Several pools: the one that wastes least, then the one that was named first; a VLAN's own pools only.
    @Test func theRightPoolIsTaken() throws {
        let (first, second) = (PoolID("first")!, PoolID("second")!)
        func layout(_ id: PoolID, _ size: Int) -> PoolLayout {
            PoolLayout(
                id, PoolGeometry(controlByteCount: 16, classes: [.init(ringByteCount: size, blockCount: 1)]))
        }
        var books = PoolBooks([layout(first, 1000), layout(second, 100), layout(PoolID("third")!, 100)])
        var request = Self.request(50)
        request.pools = [first]
        #expect(books.ringByteCount(try books.take(request)) == 1000)
        request.pools = nil
        #expect(try books.take(request) == BlockID(1))
        #expect(try books.take(request) == BlockID(2))
        #expect(books.usedByteCount(.slice(Self.vlan, second)) == 116 && books.byteCount(of: second) == 116)
    }
}

@Suite struct PoolGeometryTests {
    @Test func hugeBlocksAreWholePages() {
        #expect(PoolGeometry.hugePageByteCount == MemoryFile.Pages.huge.byteCount)
        let geometry = PoolGeometry(hugeByteCount: 128 << 20, controlByteCount: 4096)
        #expect(geometry.classes.map(\.ringByteCount) == [1 << 20, 4 << 20, 16 << 20])
        #expect(geometry.classes.map { geometry.fileByteCount(ringByteCount: $0.ringByteCount) >> 21 } == [1, 3, 9])
        #expect(geometry.byteCount <= 128 << 20 && geometry.byteCount > 120 << 20)
    }

    @Test(arguments: [0, 1, 20_479, 1 << 20, 5 << 20, 1 << 30]) func cutsNeverExceed(byteCount: Int) {
        for geometry in [
            PoolGeometry(byteCount: byteCount, controlByteCount: 4096),
            PoolGeometry(hugeByteCount: byteCount, controlByteCount: 4096),
        ] {
            #expect(geometry.byteCount <= byteCount)
            #expect(geometry.classes.allSatisfy { $0.blockCount > 0 })
        }
    }
}

/// The books, a shadow of them, and random steps.
struct BooksWorld {
    private struct Held {
        let holder: BlockHolder
        let fileByteCount: Int
        let pool: PoolID
        var isReclaiming = false
    }

    private var random: SeededGenerator
    private var books: PoolBooks
    private var held: [BlockID: Held] = [:]
    private var order: [BlockID] = []
    private var dead: Set<BlockID> = []
    private var totals: [PoolID: Int] = [:]
    private(set) var failure: String?
    private(set) var counts = (taken: 0, refused: 0, replaced: 0, removed: 0)
    private static let pools = [PoolID("a")!, PoolID("b")!]
    private static let vlans = [VLANID("v")!, VLANID("w")!]
    private static let vlanLimit = 5 << 20
    private static let memberLimit = 2 << 20

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        let geometry = PoolGeometry(byteCount: 4 << 20, controlByteCount: 4096)
        self.books = PoolBooks(Self.pools.map { PoolLayout($0, geometry) })
        for pool in Self.pools { self.totals[pool] = geometry.byteCount }
    }

    private mutating func expect(_ condition: Bool, _ text: @autoclosure () -> String) {
        if !condition, self.failure == nil { self.failure = text() }
    }

    private static func limits(_ holder: BlockHolder) -> [PoolLimit] {
        [
            PoolLimit(account: .vlan(holder.vlan), byteCount: Self.vlanLimit, name: "VLAN"),
            PoolLimit(
                account: .member(holder.partition, holder.vlan), byteCount: Self.memberLimit, name: "Partition"),
        ]
    }

    /// In an order that does not depend on chance.
    private mutating func any(_ isReclaiming: Bool) -> BlockID? {
        let wanted = self.order.indices.filter { self.held[self.order[$0]]?.isReclaiming == isReclaiming }
        return wanted.randomElement(using: &self.random).map { self.order[$0] }
    }

    mutating func step() {
        switch Int.random(in: 0..<100, using: &self.random) {
        case 0..<40: self.take()
        case 40..<55: self.replace()
        case 55..<70:
            guard let block = self.any(false) else { return }
            self.books.giveBack(block)
            self.held[block]?.isReclaiming = true
        case 70..<92:
            guard let block = self.any(true) else { return }
            self.books.reclaimed(block)
            self.held[block] = nil
            self.order.removeAll { $0 == block }
        case 92..<96: self.grow()
        default: self.shrink()
        }
    }

    private mutating func take() {
        let holder = BlockHolder(
            vlan: Self.vlans.randomElement(using: &self.random)!,
            partition: .session(CallerID(.random(in: 0..<5, using: &self.random))))
        let size = [1, 16_384, 16_385, 65_536, 262_144, 1 << 20, 1 << 21].randomElement(using: &self.random)!
        let pool = Self.pools.randomElement(using: &self.random)!
        let request = BlockRequest(
            ringByteCount: size, holder: holder, pools: Bool.random(using: &self.random) ? [pool] : nil,
            limits: Self.limits(holder))
        do throws(Refused) {
            let block = try self.books.take(request)
            self.expect(self.books.ringByteCount(block) >= size, "too small")
            self.book(block, holder)
            self.expect(request.pools == nil || self.held[block]?.pool == pool, "a block of another pool")
            self.counts.taken += 1
        } catch {
            self.counts.refused += 1
            let isShort = error.code == .poolExhausted || error.code == .quotaExceeded
            self.expect(size > 1 << 20 ? error.code == .sizeTooLarge : isShort, "refused: \(error.text)")
        }
    }

    /// No byte is in two blocks: a block that is held, or gone, is given to nobody.
    private mutating func book(_ block: BlockID, _ holder: BlockHolder) {
        self.expect(self.held[block] == nil, "a block is given out twice")
        self.expect(!self.dead.contains(block), "a block that is gone is given out")
        self.order.append(block)
        self.held[block] = Held(
            holder: holder, fileByteCount: self.books.fileByteCount(block),
            pool: self.books.pool(block) ?? PoolID.default)
    }

    private mutating func replace() {
        guard let old = self.any(false), let holder = self.held[old]?.holder else { return }
        do throws(Refused) {
            let new = try self.books.replace(old, limits: Self.limits(holder))
            self.expect(self.books.fileByteCount(new) == self.books.fileByteCount(old), "another size")
            self.held[old]?.isReclaiming = true
            self.book(new, holder)
            self.expect(self.held[new]?.pool == self.held[old]?.pool, "another pool")
            self.counts.replaced += 1
        } catch {
            self.expect(error.code == .poolExhausted || error.code == .quotaExceeded, "refused: \(error.text)")
        }
    }

    private mutating func grow() {
        let pool = Self.pools.randomElement(using: &self.random)!
        guard self.books.byteCount(of: pool) < 10 << 20,
            let growth = try? self.books.growth(
                of: pool, byteCount: .random(in: 700_000..<3_000_000, using: &self.random))
        else { return }
        for block in self.books.add(growth) {
            self.expect(self.held[block] == nil && !self.dead.contains(block), "a new block has an old number")
        }
        self.totals[pool, default: 0] += growth.byteCount
    }

    private mutating func shrink() {
        let pool = Self.pools.randomElement(using: &self.random)!
        let byteCount = Int.random(in: 0..<2_000_000, using: &self.random)
        let sizes = Dictionary(uniqueKeysWithValues: self.books.allBlocks.map { ($0, self.books.fileByteCount($0)) })
        guard let removed = try? self.books.shrink(pool, byteCount: byteCount) else {
            return self.expect(false, "shrinking was refused")
        }
        let taken = removed.reduce(0) { $0 + (sizes[$1] ?? .max / 2) }
        self.expect(taken <= byteCount, "more was taken than was asked for")
        for block in removed { self.expect(self.held[block] == nil, "a block in use was taken away") }
        self.totals[pool, default: 0] -= taken
        self.dead.formUnion(removed)
        self.counts.removed += removed.count
    }

    private func used(_ isMeant: (Held) -> Bool) -> Int {
        self.held.values.filter(isMeant).reduce(0) { $0 + $1.fileByteCount }
    }

    mutating func check() {
        for pool in Self.pools {
            self.expect(self.books.byteCount(of: pool) == self.totals[pool], "bytes of pool \(pool) are wrong")
            for vlan in Self.vlans {
                let used = self.used { $0.holder.vlan == vlan && $0.pool == pool }
                self.expect(self.books.usedByteCount(.slice(vlan, pool)) == used, "a slice is counted wrongly")
            }
        }
        for vlan in Self.vlans {
            let used = self.used { $0.holder.vlan == vlan }
            self.expect(self.books.usedByteCount(.vlan(vlan)) == used, "VLAN \(vlan) is counted wrongly")
            self.expect(used <= Self.vlanLimit, "VLAN \(vlan) is over its limit")
            for number in 0..<5 as Range<UInt64> {
                let member = self.used { $0.holder == BlockHolder(vlan: vlan, partition: .session(CallerID(number))) }
                let account = PoolAccount.member(.session(CallerID(number)), vlan)
                self.expect(self.books.usedByteCount(account) == member, "a partition is counted wrongly")
                self.expect(member <= Self.memberLimit, "a partition is over its limit")
            }
        }
        let statuses = self.books.statuses
        let (blocks, free, reclaiming) = statuses.reduce((0, 0, 0)) {
            ($0.0 + $1.blockCount, $0.1 + $1.freeCount, $0.2 + $1.reclaimingCount)
        }
        self.expect(blocks == self.books.blockCount, "blocks were lost")
        self.expect(reclaiming == self.held.values.count { $0.isReclaiming }, "blocks coming back are counted wrongly")
        self.expect(blocks - free == self.held.count, "blocks in use are counted wrongly")
    }
}
