internal import SMCSystem

/// The memory of the pools: one sealed file for each block, faulted in before the block is in the books (seed A10,
/// A35).
struct BlockStore: ~Copyable {
    final class Block {
        let memory: LendableMemory

        init(_ memory: consuming LendableMemory) {
            self.memory = memory
        }
    }

    private var blocks: [BlockID: Block] = [:]
    /// To be zeroed as soon as nobody has them.
    private var pending: [BlockID] = []
    /// Somebody still had them when we last looked.
    private var lent: [BlockID] = []

    /// How many there are.
    var count: Int {
        self.blocks.count
    }

    /// Takes over blocks that were made.
    mutating func add(_ made: [Block], as numbers: [BlockID]) {
        precondition(made.count == numbers.count, "as many blocks as numbers")
        for (block, number) in zip(made, numbers) {
            self.blocks[number] = block
        }
    }

    /// Gives the memory of blocks that are in no books any more back to the system. Nobody else has it, so that the
    /// system has it at once.
    mutating func remove(_ numbers: [BlockID]) {
        for number in numbers {
            self.blocks[number] = nil
        }
    }

    private borrowing func block(_ id: BlockID) -> Block {
        guard let block = self.blocks[id] else { preconditionFailure("block \(id.rawValue) is not there") }
        return block
    }

    /// A descriptor to send to a partition.
    borrowing func lend(_ id: BlockID) throws(SystemCallError) -> OwnedDescriptor {
        try self.block(id).memory.lend()
    }

    /// The block in our own memory, for as long as the mapping is held.
    borrowing func mapping(_ id: BlockID) throws(SystemCallError) -> Mapping {
        try Mapping(self.block(id).memory.file)
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
            let block = self.block(id)
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
