internal import SMCWire

/// Which blocks of the pools are free, in use, or on their way back.
struct PoolBooks: Sendable {
    enum Use: Hashable, Sendable {
        case free
        case used(BlockHolder)
        /// Given back, not yet free. It counts against its holder until it is, so that whoever keeps memory mapped that
        /// it has given back harms only its own VLAN.
        case reclaiming(BlockHolder)
    }

    private struct Pool {
        let id: PoolID
        let pages: PoolStatus.Pages
        /// For blocks to come; without classes.
        let shape: PoolGeometry
        /// Smallest first. A class stays when its last block has gone: a size that was there once is told from one that
        /// never was.
        var classes: [SizeClass]
    }

    private struct SizeClass {
        let ringByteCount: Int
        let fileByteCount: Int
        var blockCount = 0
        var free: [BlockID] = []
        var reclaimingCount = 0

        var freeByteCount: Int { self.free.count * self.fileByteCount }
    }

    private struct Block {
        let pool: Int
        let ringByteCount: Int
        let fileByteCount: Int
        var use: Use
    }

    private var pools: [Pool] = []
    private var blocks: [BlockID: Block] = [:]
    private var usedByteCounts: [PoolAccount: Int] = [:]
    private var lastBlock = -1

    /// Pools with the same name are one.
    init(_ layouts: [PoolLayout]) {
        for layout in layouts {
            var shape = layout.geometry
            shape.classes = []
            if !self.pools.contains(where: { $0.id == layout.id }) {
                self.pools.append(Pool(id: layout.id, pages: layout.pages, shape: shape, classes: []))
            }
            _ = self.add(PoolGrowth(layout))
        }
    }

    // MARK: Looking

    /// Bytes of each partition on each of its VLANs.
    var memberByteCounts: [BlockHolder: Int] {
        var counts: [BlockHolder: Int] = [:]
        for (account, byteCount) in self.usedByteCounts {
            if case .member(let partition, let vlan) = account {
                counts[BlockHolder(vlan: vlan, partition: partition)] = byteCount
            }
        }
        return counts
    }

    func usedByteCount(_ account: PoolAccount) -> Int {
        self.usedByteCounts[account] ?? 0
    }

    /// Bytes of all blocks, or of one pool's.
    func byteCount(of pool: PoolID? = nil) -> Int {
        self.pools.filter { pool == nil || $0.id == pool }.reduce(0) { sum, pool in
            pool.classes.reduce(sum) { $0 + $1.blockCount * $1.fileByteCount }
        }
    }

    var blockCount: Int {
        self.blocks.count
    }

    var allBlocks: Set<BlockID> {
        Set(self.blocks.keys)
    }

    func pool(_ block: BlockID) -> PoolID? {
        self.blocks[block].map { self.pools[$0.pool].id }
    }

    func hasPool(_ pool: PoolID) -> Bool {
        self.pools.contains { $0.id == pool }
    }

    /// The largest ring that there is in these pools.
    func largestRingByteCount(in pools: Set<PoolID>? = nil) -> Int {
        self.pools.filter { pools?.contains($0.id) ?? true }.flatMap(\.classes)
            .filter { $0.blockCount > 0 }.map(\.ringByteCount).max() ?? 0
    }

    func ringByteCount(_ block: BlockID) -> Int {
        self.blocks[block]?.ringByteCount ?? 0
    }

    func fileByteCount(_ block: BlockID) -> Int {
        self.blocks[block]?.fileByteCount ?? 0
    }

    func use(_ block: BlockID) -> Use? {
        self.blocks[block]?.use
    }

    var statuses: [PoolStatus] {
        self.pools.flatMap { pool in
            pool.classes.map {
                PoolStatus(
                    pool: pool.id, pages: pool.pages, ringByteCount: $0.ringByteCount, fileByteCount: $0.fileByteCount,
                    blockCount: $0.blockCount, freeCount: $0.free.count, reclaimingCount: $0.reclaimingCount)
            }
        }
    }

    // MARK: Taking and giving back

    /// Takes a free block of the smallest class that holds so many bytes, or of a larger one.
    mutating func take(_ request: BlockRequest) throws(Refused) -> BlockID {
        var isEverThere = false
        var candidates: [(pool: Int, sizeClass: Int)] = []
        for pool in self.pools.indices where request.pools?.contains(self.pools[pool].id) ?? true {
            for index in self.pools[pool].classes.indices
            where self.pools[pool].classes[index].ringByteCount >= request.ringByteCount {
                isEverThere = true
                if !self.pools[pool].classes[index].free.isEmpty { candidates.append((pool, index)) }
            }
        }
        guard isEverThere else {
            let largest = self.largestRingByteCount(in: request.pools)
            throw Refused(
                .sizeTooLarge,
                "An SMB of \(request.ringByteCount) bytes was asked for, but the pool's largest has \(largest).")
        }
        // The least memory first; among equals the pool that was named first.
        candidates.sort {
            (self.pools[$0.pool].classes[$0.sizeClass].fileByteCount, $0.pool)
                < (self.pools[$1.pool].classes[$1.sizeClass].fileByteCount, $1.pool)
        }
        var reached: PoolLimit?
        for (pool, index) in candidates {
            let byteCount = self.pools[pool].classes[index].fileByteCount
            if let limit = self.limit(request.limits, reachedBy: byteCount, request.holder, in: pool) {
                reached = reached ?? limit
            } else {
                return self.book(pool, index, request.holder)
            }
        }
        throw Refused(reached?.refusal ?? .poolExhausted, self.exhaustion(request, reached))
    }

    /// Takes a block that can stand in the place of another which is in use: of the same pool and size, for the same
    /// holder. The other one is on its way back then.
    mutating func replace(_ old: BlockID, limits: [PoolLimit]) throws(Refused) -> BlockID {
        guard let block = self.blocks[old], case .used(let holder) = block.use,
            let index = self.pools[block.pool].classes.firstIndex(where: { $0.ringByteCount == block.ringByteCount })
        else { preconditionFailure("block \(old.rawValue) is not in use") }
        let request = BlockRequest(
            ringByteCount: block.ringByteCount, holder: holder, pools: [self.pools[block.pool].id], limits: limits)
        let reached = self.limit(limits, reachedBy: block.fileByteCount, holder, in: block.pool)
        guard !self.pools[block.pool].classes[index].free.isEmpty, reached == nil else {
            throw Refused(reached?.refusal ?? .poolExhausted, self.exhaustion(request, reached))
        }
        let new = self.book(block.pool, index, holder)
        self.giveBack(old)
        return new
    }

    /// Nobody has a right to the block any more.
    mutating func giveBack(_ block: BlockID) {
        guard let known = self.blocks[block], case .used(let holder) = known.use else {
            preconditionFailure("block \(block.rawValue) is given back twice")
        }
        self.blocks[block]?.use = .reclaiming(holder)
        self.changeClass(of: known) { $0.reclaimingCount += 1 }
    }

    /// Nobody has the block any more, and it holds zeros.
    mutating func reclaimed(_ block: BlockID) {
        guard let known = self.blocks[block], case .reclaiming(let holder) = known.use else {
            preconditionFailure("block \(block.rawValue) was not given back")
        }
        self.blocks[block]?.use = .free
        self.changeClass(of: known) {
            $0.reclaimingCount -= 1
            $0.free.append(block)
        }
        for account in PoolAccount.all(of: holder, in: self.pools[known.pool].id) {
            self.discharge(known.fileByteCount, from: account)
        }
    }

    private mutating func book(_ pool: Int, _ index: Int, _ holder: BlockHolder) -> BlockID {
        let block = self.pools[pool].classes[index].free.removeLast()
        self.blocks[block]?.use = .used(holder)
        for account in PoolAccount.all(of: holder, in: self.pools[pool].id) {
            self.charge(self.pools[pool].classes[index].fileByteCount, to: account)
        }
        return block
    }

    private mutating func changeClass(of block: Block, _ change: (inout SizeClass) -> Void) {
        guard
            let index = self.pools[block.pool].classes.firstIndex(where: { $0.ringByteCount == block.ringByteCount })
        else { preconditionFailure("a block without a class") }
        change(&self.pools[block.pool].classes[index])
    }

    // MARK: Limits

    /// The first limit that so many more bytes would exceed.
    private func limit(
        _ limits: [PoolLimit], reachedBy byteCount: Int, _ holder: BlockHolder, in pool: Int
    ) -> PoolLimit? {
        let accounts = PoolAccount.all(of: holder, in: self.pools[pool].id)
        return limits.first { limit in
            // A limit may be below what is in use, when it was lowered.
            accounts.contains(limit.account) && self.usedByteCount(limit.account) > limit.byteCount - byteCount
        }
    }

    private func exhaustion(_ request: BlockRequest, _ reached: PoolLimit?) -> String {
        if let reached {
            let used = self.usedByteCount(reached.account)
            return
                "\(reached.name) uses \(used) of the \(reached.byteCount) bytes that it may use, so an SMB of "
                + "\(request.ringByteCount) does not fit; close connections of it, or raise its limit."
        }
        let pools = self.pools.filter { request.pools?.contains($0.id) ?? true }
        let free = pools.flatMap(\.classes).filter { $0.ringByteCount >= request.ringByteCount }.prefix(6).map {
            "\($0.free.count) of \($0.blockCount) with \($0.ringByteCount) bytes"
        }
        return
            "No free block holds \(request.ringByteCount) bytes (free: \(free.joined(separator: ", "))); close "
            + "connections, grow the pool (\(pools.map(\.id.name).joined(separator: ", "))), or start the hypervisor "
            + "with a larger --pool."
    }

    // MARK: Memory that is in no pool

    /// It counts against an account all the same.
    mutating func charge(_ byteCount: Int, to account: PoolAccount) {
        self.usedByteCounts[account, default: 0] += byteCount
    }

    /// It does not any more.
    mutating func discharge(_ byteCount: Int, from account: PoolAccount) {
        let rest = self.usedByteCount(account) - byteCount
        self.usedByteCounts[account] = rest == 0 ? nil : rest
    }

    // MARK: Growing and shrinking

    /// What must be made so that a pool grows by about `byteCount`.
    func growth(of id: PoolID, byteCount: Int) throws(Refused) -> PoolGrowth {
        guard let pool = self.pools.first(where: { $0.id == id }) else { throw self.unknown(id) }
        let control = pool.shape.controlByteCount
        let cut =
            pool.pages == .huge
            ? PoolGeometry(hugeByteCount: byteCount, controlByteCount: control)
            : PoolGeometry(byteCount: byteCount, controlByteCount: control)
        guard cut.blockCount > 0 else {
            let least = pool.pages == .huge ? PoolGeometry.hugePageByteCount : 32 * (16_384 + control)
            throw Refused(
                .sizeTooSmall, "\(byteCount) bytes hold no block of pool \(id); grow it by \(least) bytes at least.")
        }
        return PoolGrowth(PoolLayout(id, pages: pool.pages, cut))
    }

    /// The blocks of a growth are there: zeroed, and nobody's.
    ///
    /// - Returns: their numbers, in the order of the growth's parts.
    mutating func add(_ growth: PoolGrowth) -> [BlockID] {
        guard let pool = self.pools.firstIndex(where: { $0.id == growth.pool }) else {
            preconditionFailure("growth of no pool")
        }
        var added: [BlockID] = []
        for part in growth.parts {
            if !self.pools[pool].classes.contains(where: { $0.ringByteCount == part.ringByteCount }) {
                self.pools[pool].classes.append(
                    SizeClass(ringByteCount: part.ringByteCount, fileByteCount: part.fileByteCount))
                self.pools[pool].classes.sort { $0.ringByteCount < $1.ringByteCount }
            }
            let new = (0..<part.blockCount).map { BlockID(self.lastBlock + 1 + $0) }
            self.lastBlock += part.blockCount
            let block = Block(
                pool: pool, ringByteCount: part.ringByteCount, fileByteCount: part.fileByteCount, use: .free)
            for id in new { self.blocks[id] = block }
            self.changeClass(of: block) {
                $0.blockCount += part.blockCount
                $0.free.append(contentsOf: new.reversed())
            }
            added.append(contentsOf: new)
        }
        return added
    }

    /// Takes free blocks out of a pool, at most so many bytes; blocks that anybody has are not touched.
    ///
    /// - Returns: the blocks that the pool has no more.
    mutating func shrink(_ id: PoolID, byteCount: Int) throws(Refused) -> [BlockID] {
        guard let pool = self.pools.firstIndex(where: { $0.id == id }) else { throw self.unknown(id) }
        var left = byteCount
        var removed: [BlockID] = []
        while true {
            // Always of the class with the most free memory, so that what is left keeps some of each.
            let fitting = self.pools[pool].classes.indices.filter {
                !self.pools[pool].classes[$0].free.isEmpty && self.pools[pool].classes[$0].fileByteCount <= left
            }
            let richest = fitting.max {
                self.pools[pool].classes[$0].freeByteCount < self.pools[pool].classes[$1].freeByteCount
            }
            guard let index = richest else { return removed }
            let block = self.pools[pool].classes[index].free.removeLast()
            self.pools[pool].classes[index].blockCount -= 1
            self.blocks[block] = nil
            left -= self.pools[pool].classes[index].fileByteCount
            removed.append(block)
        }
    }

    func unknown(_ id: PoolID) -> Refused {
        let known = self.pools.map(\.id.name).joined(separator: ", ")
        return Refused(.unknownPool, "There is no pool \(id) here, only: \(known).")
    }
}
