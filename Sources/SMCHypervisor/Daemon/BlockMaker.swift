internal import SMCSystem
internal import SMCWire

/// Makes the memory of new blocks, piece by piece, so that a large growth does not keep others waiting. All or nothing:
/// what was made goes with this object unless it was taken.
final class BlockMaker {
    /// What must stay free besides the pools: for this process itself and a little for everybody else.
    private static let reserveByteCount = 32 << 20

    let growth: PoolGrowth
    private(set) var made: [BlockStore.Block] = []
    private var part = 0
    private var madeOfPart = 0

    init(_ growth: PoolGrowth) {
        self.growth = growth
    }

    var isDone: Bool {
        self.made.count == self.growth.blockCount
    }

    private var bytesLeft: Int {
        self.growth.parts.enumerated().reduce(0) { sum, item in
            let (index, part) = item
            guard index >= self.part else { return sum }
            return sum + (part.blockCount - (index == self.part ? self.madeOfPart : 0)) * part.fileByteCount
        }
    }

    /// Makes blocks until `byteLimit` is passed or all are there.
    ///
    /// - Throws: ``BlockMakerError``. Linux refuses a huge page that it has not, but it gives any number of ordinary
    ///   ones, and kills somebody when there are none left; so this looks before it takes them.
    func make(byteLimit: Int) throws(BlockMakerError) {
        let isHuge = self.growth.pages == .huge
        if !isHuge, !self.isDone {
            let budget = MemoryBudget.current()
            guard self.bytesLeft <= budget.byteCount - Self.reserveByteCount else {
                throw .noMemory(
                    wanted: self.bytesLeft, possible: max(0, budget.byteCount - Self.reserveByteCount),
                    budget.limitedBy)
            }
        }
        var byteCount = 0
        while !self.isDone, byteCount < byteLimit {
            while self.madeOfPart == self.growth.parts[self.part].blockCount {
                self.part += 1
                self.madeOfPart = 0
            }
            let size = self.growth.parts[self.part].fileByteCount
            do throws(SystemCallError) {
                let memory = try LendableMemory.create(
                    name: "smc-block", byteCount: size, pages: isHuge ? .huge : .ordinary)
                self.made.append(BlockStore.Block(memory))
            } catch {
                if isHuge, error.errno == Errno.noSpace || error.errno == Errno.noMemory { throw .noHugePages }
                throw .system(error)
            }
            self.madeOfPart += 1
            byteCount += size
        }
    }
}

/// Why blocks could not be made.
enum BlockMakerError: Error {
    case noMemory(wanted: Int, possible: Int, String)
    case noHugePages
    case system(SystemCallError)
}

extension BlockMakerError: CustomStringConvertible {
    var description: String {
        switch self {
        case .noMemory(let wanted, let possible, let limit):
            "\(wanted) bytes of memory are wanted, but \(limit) leaves only \(possible); take less, or raise that limit"
        case .noHugePages:
            "the machine has not so many huge pages free; set more aside in /proc/sys/vm/nr_hugepages, or do without"
        case .system(let error): "the memory cannot be had: \(error)"
        }
    }
}
