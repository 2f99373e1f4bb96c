internal import SMCWire

/// Numbers a block of a pool.
package struct BlockID: Hashable, Sendable {
    /// Which pool, in the order of ``Hypervisor/Configuration/pools``.
    package var pool: Int
    /// Which block of the pool.
    package var rawValue: Int

    package init(_ rawValue: Int, pool: Int = 0) {
        self.pool = pool
        self.rawValue = rawValue
    }
}

/// Which blocks of the pool are free, in use, or on their way back. Blocks are numbered class by class.
struct PoolBooks: Sendable {
    enum Use: Hashable, Sendable {
        case free
        case used(VLANID)
        /// Given back, not yet free. It counts against its VLAN until it is, so that whoever keeps memory mapped that
        /// it has given back harms only its own VLAN.
        case reclaiming(VLANID)
    }

    let id: PoolID
    let geometry: PoolGeometry
    private(set) var uses: [Use]
    private var freeBlocks: [[BlockID]]
    private var firstBlocks: [Int] = []
    private var usedByteCounts: [VLANID: Int] = [:]

    /// - Parameter number: the pool's, in its blocks.
    init(_ id: PoolID, number: Int, _ geometry: PoolGeometry) {
        self.id = id
        self.geometry = geometry
        self.uses = Array(repeating: .free, count: geometry.blockCount)
        self.freeBlocks = []
        var next = 0
        for sizeClass in geometry.classes {
            self.firstBlocks.append(next)
            let end = next + sizeClass.blockCount
            self.freeBlocks.append((next..<end).reversed().map { BlockID($0, pool: number) })
            next = end
        }
    }

    func usedByteCount(_ vlan: VLANID) -> Int {
        self.usedByteCounts[vlan] ?? 0
    }

    var largestRingByteCount: Int {
        self.geometry.classes.last { $0.blockCount > 0 }?.ringByteCount ?? 0
    }

    private func classIndex(_ block: BlockID) -> Int {
        (self.firstBlocks.lastIndex { $0 <= block.rawValue }) ?? 0
    }

    func ringByteCount(_ block: BlockID) -> Int {
        self.geometry.classes[self.classIndex(block)].ringByteCount
    }

    func fileByteCount(_ block: BlockID) -> Int {
        self.ringByteCount(block) + self.geometry.controlByteCount
    }

    /// The class that a request is served from; nil when there is no free block for it.
    private func candidate(ringByteCount: Int, isExact: Bool) -> Int? {
        self.geometry.classes.indices.first { index in
            let size = self.geometry.classes[index].ringByteCount
            return (isExact ? size == ringByteCount : size >= ringByteCount) && !self.freeBlocks[index].isEmpty
        }
    }

    /// Whether ``take(ringByteCount:for:limit:isExact:)`` would give a block.
    func hasBlock(ringByteCount: Int, for vlan: VLANID, limit: Int, isExact: Bool) -> Bool {
        guard let index = self.candidate(ringByteCount: ringByteCount, isExact: isExact) else { return false }
        let byteCount = self.geometry.classes[index].ringByteCount + self.geometry.controlByteCount
        return self.usedByteCount(vlan) + byteCount <= limit
    }

    /// Takes a free block of the smallest class that holds so many bytes, or of a larger one.
    ///
    /// - Parameter limit: bytes of the pool that the VLAN may use.
    /// - Parameter isExact: only of the class of just that size.
    mutating func take(
        ringByteCount: Int, for vlan: VLANID, limit: Int, isExact: Bool = false
    ) throws(Refused) -> BlockID {
        let largest = self.largestRingByteCount
        guard ringByteCount <= largest else {
            throw Refused(
                .sizeTooLarge, "An SMB of \(ringByteCount) bytes was asked for, but the pool's largest has \(largest).")
        }
        let used = self.usedByteCount(vlan)
        guard let index = self.candidate(ringByteCount: ringByteCount, isExact: isExact),
            let block = self.freeBlocks[index].last
        else { throw Refused(.poolExhausted, self.exhaustion(ringByteCount, vlan, nil)) }
        let byteCount = self.fileByteCount(block)
        guard used + byteCount <= limit else {
            throw Refused(.poolExhausted, self.exhaustion(ringByteCount, vlan, limit))
        }
        self.freeBlocks[index].removeLast()
        self.uses[block.rawValue] = .used(vlan)
        self.usedByteCounts[vlan] = used + byteCount
        return block
    }

    private func exhaustion(_ ringByteCount: Int, _ vlan: VLANID, _ limit: Int?) -> String {
        if let limit {
            return
                "VLAN \(vlan) uses \(self.usedByteCount(vlan)) of the \(limit) bytes that it may use, so an "
                + "SMB of \(ringByteCount) does not fit; close connections on it, or raise its limit."
        }
        let free = self.statuses.map { "\($0.freeCount) of \($0.blockCount) with \($0.ringByteCount) bytes" }
        return
            "No free block holds \(ringByteCount) bytes (free: \(free.joined(separator: ", "))); close connections, or "
            + "start the hypervisor with a larger --pool."
    }

    /// Nobody has a right to the block any more.
    mutating func giveBack(_ block: BlockID) {
        guard case .used(let vlan) = self.uses[block.rawValue] else {
            preconditionFailure("block \(block.rawValue) is given back twice")
        }
        self.uses[block.rawValue] = .reclaiming(vlan)
    }

    /// Nobody has the block any more, and it holds zeros.
    mutating func reclaimed(_ block: BlockID) {
        guard case .reclaiming(let vlan) = self.uses[block.rawValue] else {
            preconditionFailure("block \(block.rawValue) was not given back")
        }
        self.uses[block.rawValue] = .free
        self.freeBlocks[self.classIndex(block)].append(block)
        let rest = self.usedByteCount(vlan) - self.fileByteCount(block)
        self.usedByteCounts[vlan] = rest == 0 ? nil : rest
    }

    var statuses: [PoolStatus] {
        self.geometry.classes.indices.map { index in
            let sizeClass = self.geometry.classes[index]
            let first = self.firstBlocks[index]
            let reclaiming = self.uses[first..<first + sizeClass.blockCount].reduce(0) { count, use in
                if case .reclaiming = use { count + 1 } else { count }
            }
            return PoolStatus(
                pool: self.id, ringByteCount: sizeClass.ringByteCount, blockCount: sizeClass.blockCount,
                freeCount: self.freeBlocks[index].count, reclaimingCount: reclaiming)
        }
    }
}
