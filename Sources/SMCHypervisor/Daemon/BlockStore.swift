internal import SMCSystem

/// The memory of the pool: one sealed file for each block, made and faulted in at the start (seed A10, A35).
struct BlockStore: ~Copyable {
    private final class Block {
        let memory: LendableMemory

        init(_ memory: consuming LendableMemory) {
            self.memory = memory
        }
    }

    private let blocks: [Block]
    /// To be zeroed as soon as nobody has them.
    private var pending: [BlockID] = []
    /// Somebody still had them when we last looked.
    private var lent: [BlockID] = []

    private init(blocks: [Block]) {
        self.blocks = blocks
    }

    /// Takes all the memory now.
    static func create(_ geometry: PoolGeometry) throws(SystemCallError) -> BlockStore {
        var blocks: [Block] = []
        blocks.reserveCapacity(geometry.blockCount)
        for sizeClass in geometry.classes {
            for _ in 0..<sizeClass.blockCount {
                let byteCount = sizeClass.ringByteCount + geometry.controlByteCount
                blocks.append(Block(try LendableMemory.create(name: "smc-block", byteCount: byteCount)))
            }
        }
        return BlockStore(blocks: blocks)
    }

    /// A descriptor to send to a partition.
    borrowing func lend(_ block: BlockID) throws(SystemCallError) -> OwnedDescriptor {
        try self.blocks[block.rawValue].memory.lend()
    }

    /// The block in our own memory, for as long as the mapping is held.
    borrowing func mapping(_ block: BlockID) throws(SystemCallError) -> Mapping {
        try Mapping(self.blocks[block.rawValue].memory.file)
    }

    var hasPending: Bool {
        !self.pending.isEmpty
    }

    var hasLent: Bool {
        !self.lent.isEmpty
    }

    /// Nobody has a right to the block any more.
    mutating func reclaim(_ block: BlockID) {
        self.pending.append(block)
    }

    /// Looks again, next time, at the blocks that somebody still had.
    mutating func retryLent() {
        self.pending.append(contentsOf: self.lent)
        self.lent.removeAll()
    }

    /// Zeroes blocks that nobody has, until `byteLimit` is passed.
    ///
    /// - Returns: the blocks that are free now.
    mutating func reclaimPending(byteLimit: Int) -> [BlockID] {
        var reclaimed: [BlockID] = []
        var byteCount = 0
        while byteCount < byteLimit, let id = self.pending.popLast() {
            let block = self.blocks[id.rawValue]
            if !block.memory.isLent(), Self.zero(block) {
                reclaimed.append(id)
                byteCount += block.memory.file.byteCount
            } else {
                self.lent.append(id)
            }
        }
        return reclaimed
    }

    /// Without memory for a mapping it fails; then the block waits like one that is lent.
    private static func zero(_ block: Block) -> Bool {
        do throws(SystemCallError) {
            try block.memory.file.zero()
            return true
        } catch {
            return false
        }
    }
}
