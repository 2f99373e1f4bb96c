internal import SMCWire

/// Numbers a pair of partitions on one VLAN; never used twice.
package struct PairID: Hashable, Sendable, Comparable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static func < (left: PairID, right: PairID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// One of the two directions of a pair, named by the side that is told something. A partition that is paired with
/// itself has only the first.
package enum Direction: Int, Hashable, Sendable, CaseIterable {
    case toLow = 0
    case toHigh = 1
}

/// Two addresses of one VLAN between which SMBs are bound, and the bits that these SMBs have (seed A21, A48).
struct Pair: Sendable {
    /// The two addresses in a fixed order.
    struct Key: Hashable, Sendable {
        let low: SMGID
        let high: SMGID

        init(_ one: SMGID, _ other: SMGID) {
            let isOrdered = (one.gid, one.extendedGID) <= (other.gid, other.extendedGID)
            self.low = isOrdered ? one : other
            self.high = isOrdered ? other : one
        }

        /// The direction in which `address` is told something.
        func direction(to address: SMGID) -> Direction {
            address == self.low ? .toLow : .toHigh
        }

        func counterpart(of address: SMGID) -> SMGID {
            address == self.low ? self.high : self.low
        }
    }

    let key: Key
    private(set) var bindingCount = 0
    /// A bit has one meaning in both directions, so that either side can be interrupted about the SMB.
    private var bits = BitBooks()
    /// How many SMBs each side has a signal grant for. With the first one come the pair's descriptors.
    private var grantCounts = [0, 0]

    init(_ key: Key) {
        self.key = key
    }

    /// Whether another SMB can have a bit.
    func hasFreeBit(limit: Int) -> Bool {
        self.bits.hasFree(limit: limit)
    }

    /// Begins a binding: a bit that no other SMB of the pair has.
    mutating func takeBit() -> Int {
        self.bindingCount += 1
        return self.bits.take()
    }

    /// Ends a binding.
    mutating func giveBitBack(_ bit: Int) {
        self.bindingCount -= 1
        self.bits.giveBack(bit)
    }

    /// - Returns: whether it is this side's first, so that it needs the descriptors.
    mutating func grant(to address: SMGID) -> Bool {
        let side = self.key.direction(to: address).rawValue
        self.grantCounts[side] += 1
        return self.grantCounts[side] == 1
    }

    mutating func endGrant(of address: SMGID) {
        self.grantCounts[self.key.direction(to: address).rawValue] -= 1
    }
}

/// Which bits are in use.
private struct BitBooks: Sendable {
    private var next = 0
    private var returned: [Int] = []

    func hasFree(limit: Int) -> Bool {
        !self.returned.isEmpty || self.next < limit
    }

    mutating func take() -> Int {
        if let bit = self.returned.popLast() { return bit }
        self.next += 1
        return self.next - 1
    }

    mutating func giveBack(_ bit: Int) {
        self.returned.append(bit)
    }
}
