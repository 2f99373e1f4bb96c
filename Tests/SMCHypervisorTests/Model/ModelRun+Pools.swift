import SMCHypervisor
import SMCWire

/// Pools that grow and shrink, and what ends when sharing is switched off.
extension ModelRun {
    private static let pools = [PoolID.default, ReferenceBooks.fast]
    /// More would only make the run slow.
    private static let blocksMaximum = 60

    mutating func growPool(_ caller: ReferenceBooks.Caller, _ number: UInt16) {
        let pool = Int(number % 2)
        let isFull = self.books.sizes.count > Self.blocksMaximum
        let byteCount = isFull ? 1 : [1, 600_000, 1_200_000][Int(number / 2) % 3]
        let outcome = self.administer(
            .growPool(Self.pools[pool], byteCount: byteCount), caller, self.has(.quota, nil, caller) && byteCount > 1)
        guard let outcome else { return }
        guard case .makeBlocks(let growth)? = outcome.effects.first, outcome.effects.count == 1,
            outcome.response == .poolChanged(byteCount: growth.byteCount), growth.pool == Self.pools[pool]
        else { return self.expect(false, "a pool grows without memory") }
        self.expect(growth.byteCount <= byteCount && growth.blockCount > 0, "it grows by more than was asked for")
        self.checkBooks()  // Nothing has changed before the memory is there.
        let rings = growth.parts.flatMap { Array(repeating: $0.ringByteCount, count: $0.blockCount) }
        let numbers = self.model.grown(growth)
        self.expect(numbers.count == rings.count, "other blocks than were made")
        for (block, ring) in zip(numbers, rings) {
            self.expect(block.rawValue > self.books.lastBlock, "a number is used twice")
            self.books.lastBlock = block.rawValue
            self.books.sizes[block] = (pool, ring)
        }
    }

    mutating func shrinkPool(_ caller: ReferenceBooks.Caller, _ number: UInt16) {
        let pool = Int(number % 2)
        let byteCount = [0, 116, 1500, 200_000][Int(number / 2) % 4]
        let outcome = self.administer(
            .shrinkPool(Self.pools[pool], byteCount: byteCount), caller, self.has(.quota, nil, caller))
        guard let outcome else { return }
        var removed: [BlockID] = []
        for effect in outcome.effects {
            if case .dropBlocks(let blocks) = effect { removed += blocks }
        }
        let sum = removed.reduce(0) { $0 + self.books.byteCount($1) }
        self.expect(outcome.response == .poolChanged(byteCount: sum) && sum <= byteCount, "it shrinks by another size")
        self.expect(Set(removed).count == removed.count, "a block is taken twice")
        let wereFree = removed.allSatisfy { self.books.uses[$0] == nil && self.books.sizes[$0]?.pool == pool }
        self.expect(wereFree, "a block that somebody has is taken away")
        for block in removed { self.books.sizes[block] = nil }
        let rest = self.books.blocks(pool).filter { self.books.uses[$0] == nil }
        self.expect(rest.allSatisfy { self.books.byteCount($0) > byteCount - sum }, "it could have taken more")
    }

    /// - Parameter vlan: nil: on all.
    mutating func endSharing(on vlan: VLANID?) {
        for address in self.books.addresses.values where vlan == nil || address.vlan == vlan {
            self.books.endSharing(of: address)
        }
    }
}
