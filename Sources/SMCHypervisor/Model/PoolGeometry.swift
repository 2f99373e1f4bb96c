/// How a pool is cut into blocks of fixed sizes.
package struct PoolGeometry: Hashable, Sendable {
    /// Blocks of one size.
    package struct SizeClass: Hashable, Sendable {
        package var ringByteCount: Int
        package var blockCount: Int

        package init(ringByteCount: Int, blockCount: Int) {
            self.ringByteCount = ringByteCount
            self.blockCount = blockCount
        }
    }

    /// Bytes of a huge page, on all machines that we know with ordinary pages of 4 KiB.
    package static let hugePageByteCount = 2 << 20

    /// Bytes before the ring in each block.
    package var controlByteCount: Int
    /// A block is a whole number of these: the page that it is made of.
    package var granuleByteCount: Int
    /// Smallest first.
    package var classes: [SizeClass]

    package init(controlByteCount: Int, granuleByteCount: Int = 1, classes: [SizeClass]) {
        self.controlByteCount = controlByteCount
        self.granuleByteCount = granuleByteCount
        self.classes = classes.sorted { $0.ringByteCount < $1.ringByteCount }
    }

    /// Cuts `byteCount` bytes: a 32nd into 16 KiB, an 8th into 64 KiB, half into 256 KiB, the rest into 1 MiB.
    ///
    /// The small ones are many, because the cost of a connection that says little is its block; the large ones serve
    /// those that stream. What does not fill a large block goes to the smaller classes, so that a small pool has some
    /// too.
    package init(byteCount: Int, controlByteCount: Int) {
        let kibibyte = 1024
        let shares = [
            (1024 * kibibyte, byteCount - byteCount / 2 - byteCount / 8 - byteCount / 32),
            (256 * kibibyte, byteCount / 2), (64 * kibibyte, byteCount / 8), (16 * kibibyte, byteCount / 32),
        ]
        self.init(controlByteCount: controlByteCount, granuleByteCount: 1, shares: shares)
    }

    /// Cuts `byteCount` bytes of huge pages: half into rings of 16 MiB (9 pages each), a quarter into 4 MiB (3 pages),
    /// the rest into 1 MiB (one page).
    ///
    /// A block is a file of its own and so a whole number of pages, and its control area comes before the ring. So
    /// large rings waste little and small ones would waste nearly all.
    package init(hugeByteCount byteCount: Int, controlByteCount: Int) {
        let mebibyte = 1 << 20
        let shares = [
            (16 * mebibyte, byteCount / 2), (4 * mebibyte, byteCount / 4),
            (mebibyte, byteCount - byteCount / 2 - byteCount / 4),
        ]
        self.init(controlByteCount: controlByteCount, granuleByteCount: Self.hugePageByteCount, shares: shares)
    }

    /// - Parameter shares: sizes of rings, largest first, and the bytes for each.
    private init(controlByteCount: Int, granuleByteCount: Int, shares: [(ringByteCount: Int, byteCount: Int)]) {
        self.init(controlByteCount: controlByteCount, granuleByteCount: granuleByteCount, classes: [])
        var left = 0
        for share in shares {
            let fileByteCount = self.fileByteCount(ringByteCount: share.ringByteCount)
            let count = (share.byteCount + left) / fileByteCount
            left += share.byteCount - count * fileByteCount
            guard count > 0 else { continue }
            self.classes.insert(SizeClass(ringByteCount: share.ringByteCount, blockCount: count), at: 0)
        }
    }

    /// Bytes of a block with such a ring.
    package func fileByteCount(ringByteCount: Int) -> Int {
        let byteCount = ringByteCount + self.controlByteCount
        return (byteCount + self.granuleByteCount - 1) / self.granuleByteCount * self.granuleByteCount
    }

    package var blockCount: Int {
        self.classes.reduce(0) { $0 + $1.blockCount }
    }

    package var byteCount: Int {
        self.classes.reduce(0) { $0 + $1.blockCount * self.fileByteCount(ringByteCount: $1.ringByteCount) }
    }

    /// The same shape with at most `maximum` blocks; a class that had blocks keeps at least one.
    package func limited(toBlocks maximum: Int) -> PoolGeometry {
        let total = self.blockCount
        guard total > maximum else { return self }
        var limited = self
        for index in limited.classes.indices where limited.classes[index].blockCount > 0 {
            limited.classes[index].blockCount = max(1, limited.classes[index].blockCount * max(0, maximum) / total)
        }
        return limited
    }
}
