internal import SMCMemory
internal import SMCSystem

/// What belongs to a pair of partitions: for each direction a status bit array, and a pair of sockets to wake each other
/// with (seed A21, A48).
final class PairFiles {
    private struct Side: ~Copyable {
        let file: MemoryFile
        let array: StatusBitArray

        static func create() throws(SystemCallError) -> Side {
            let file = try MemoryFile.create(name: "smc-status", byteCount: StatusBitArrayLayout.byteCount)
            guard let array = StatusBitArray.create(in: try Mapping(file)) else {
                preconditionFailure("a page is smaller than a status bit array")
            }
            return Side(file: file, array: array)
        }
    }

    private let toLow: Side
    private let toHigh: Side
    private let sockets: SignalSocket.Pair

    init() throws(SystemCallError) {
        self.toLow = try Side.create()
        self.toHigh = try Side.create()
        self.sockets = try SignalSocket.makePair()
    }

    /// The numbers of incoming array, outgoing array, the socket to be woken by and the one to wake with, valid as long
    /// as this object. The sockets are one and the same, except for a partition that is paired with itself.
    func descriptors(incoming: Direction, outgoing: Direction) -> [Int32] {
        [
            self.array(incoming), self.array(outgoing), self.socket(receiving: incoming),
            self.socket(sending: outgoing),
        ]
    }

    private func array(_ direction: Direction) -> Int32 {
        switch direction {
        case .toLow: self.toLow.file.descriptor.rawValue
        case .toHigh: self.toHigh.file.descriptor.rawValue
        }
    }

    private func socket(receiving direction: Direction) -> Int32 {
        switch direction {
        case .toLow: self.sockets.low.descriptor.rawValue
        case .toHigh: self.sockets.high.descriptor.rawValue
        }
    }

    private func socket(sending direction: Direction) -> Int32 {
        switch direction {
        case .toLow: self.sockets.high.descriptor.rawValue
        case .toHigh: self.sockets.low.descriptor.rawValue
        }
    }

    /// SIGB on behalf of one side: sets the bit and, if it was not set, signals the other.
    func notify(_ direction: Direction, bit: Int) {
        switch direction {
        case .toLow: if self.toLow.array.set(bit) { self.sockets.high.signal() }
        case .toHigh: if self.toHigh.array.set(bit) { self.sockets.low.signal() }
        }
    }

    /// Takes the bits of these directions together, as words, zeros at the end left out.
    func takeBits(_ directions: [Direction]) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: StatusBitArrayLayout.wordCount)
        for direction in directions {
            switch direction {
            case .toLow:
                self.sockets.low.clear()
                self.toLow.array.takeAll { words[$0 / 64] |= 1 << UInt64($0 % 64) }
            case .toHigh:
                self.sockets.high.clear()
                self.toHigh.array.takeAll { words[$0 / 64] |= 1 << UInt64($0 % 64) }
            }
        }
        return Array(words[..<((words.lastIndex { $0 != 0 } ?? -1) + 1)])
    }

    /// Tells whoever is left that its counterpart is gone.
    func markGone(isRevoked: Bool) {
        self.toLow.array.markCounterpartGone(isRevoked: isRevoked)
        self.toHigh.array.markCounterpartGone(isRevoked: isRevoked)
        self.sockets.low.signal()
        self.sockets.high.signal()
    }
}
