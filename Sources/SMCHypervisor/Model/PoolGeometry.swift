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

    /// Bytes before the ring in each block.
    package var controlByteCount: Int
    /// Smallest first.
    package var classes: [SizeClass]

    package init(controlByteCount: Int, classes: [SizeClass]) {
        self.controlByteCount = controlByteCount
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
        var left = 0
        var classes: [SizeClass] = []
        for (ringByteCount, share) in shares {
            let blockByteCount = ringByteCount + controlByteCount
            let count = (share + left) / blockByteCount
            left += share - count * blockByteCount
            classes.append(SizeClass(ringByteCount: ringByteCount, blockCount: count))
        }
        self.init(controlByteCount: controlByteCount, classes: classes.filter { $0.blockCount > 0 })
    }

    package var blockCount: Int {
        self.classes.reduce(0) { $0 + $1.blockCount }
    }

    package var byteCount: Int {
        self.classes.reduce(0) { $0 + $1.blockCount * ($1.ringByteCount + self.controlByteCount) }
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
