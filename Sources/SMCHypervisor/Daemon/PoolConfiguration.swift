internal import SMCMemory
package import SMCWire

/// One pool of shared memory, as an administrator wants it (seed A10, A35).
package struct PoolConfiguration: Hashable, Sendable {
    package var name: PoolID
    /// Bytes that are taken at the start, control areas included.
    package var byteCount: Int
    /// Whether it shall be made of pages of 2 MiB. They must have been set aside (/proc/sys/vm/nr_hugepages); where
    /// there are not enough the whole pool is made of ordinary pages, which the log and `smc status` say.
    package var wantsHugePages: Bool
    /// How many blocks of which ring size; then ``byteCount`` means nothing. Nil: cut as `Docs/Hypervisor.md` says.
    package var classes: [PoolGeometry.SizeClass]?

    package init(
        _ name: PoolID = .default, byteCount: Int, wantsHugePages: Bool = false,
        classes: [PoolGeometry.SizeClass]? = nil
    ) {
        self.name = name
        self.byteCount = byteCount
        self.wantsHugePages = wantsHugePages
        self.classes = classes
    }

    /// What is wrong with these pools, in words for whoever configured them; nil when nothing is.
    package static func problem(_ pools: [PoolConfiguration]) -> String? {
        guard (1...ControlLimits.poolsPerHypervisor).contains(pools.count) else {
            return "\(pools.count) pools are configured; there may be 1 to \(ControlLimits.poolsPerHypervisor)"
        }
        guard Set(pools.map(\.name)).count == pools.count else { return "two pools have the same name" }
        for pool in pools {
            guard let classes = pool.classes else {
                guard pool.geometry(isHuge: pool.wantsHugePages).blockCount > 0 else {
                    return
                        "pool \(pool.name) has \(pool.byteCount) bytes, which is less than its smallest block; give it "
                        + (pool.wantsHugePages ? "at least 2 MiB" : "at least 1 MiB")
                }
                continue
            }
            guard Set(classes.map(\.ringByteCount)).count == classes.count else {
                return "pool \(pool.name) has two classes of one size"
            }
            guard classes.contains(where: { $0.blockCount > 0 }) else { return "pool \(pool.name) has no blocks" }
            for sizeClass in classes where !BufferElementLayout.isValid(ringByteCount: sizeClass.ringByteCount) {
                return
                    "pool \(pool.name) has a class with rings of \(sizeClass.ringByteCount) bytes; rings are powers of "
                    + "two from \(BufferElementLayout.ringByteCountRange.lowerBound) to "
                    + "\(BufferElementLayout.ringByteCountRange.upperBound)"
            }
            for sizeClass in classes where !(0...1 << 20).contains(sizeClass.blockCount) {
                return "pool \(pool.name) has a class of \(sizeClass.blockCount) blocks; 0 to 1048576 are possible"
            }
        }
        return nil
    }

    /// How it is cut when it is made of such pages.
    func geometry(isHuge: Bool, controlByteCount: Int = BufferElementLayout.controlByteCount) -> PoolGeometry {
        if let classes = self.classes {
            return PoolGeometry(
                controlByteCount: controlByteCount, granuleByteCount: isHuge ? PoolGeometry.hugePageByteCount : 1,
                classes: classes.filter { $0.blockCount > 0 })
        }
        return isHuge
            ? PoolGeometry(hugeByteCount: self.byteCount, controlByteCount: controlByteCount)
            : PoolGeometry(byteCount: self.byteCount, controlByteCount: controlByteCount)
    }
}
