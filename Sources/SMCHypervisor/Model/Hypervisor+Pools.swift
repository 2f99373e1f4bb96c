internal import SMCWire

/// The pools under an administrator: growing and shrinking at run time, and who may use how much.
extension Hypervisor {
    /// What a partition's SMBs on a VLAN are counted against.
    func limits(_ caller: CallerID, _ vlan: VLANID) -> [PoolLimit] {
        [PoolLimit(account: .vlan(vlan), byteCount: self.limit(vlan), name: "VLAN \(vlan)")]
    }

    /// The blocks that ``Effect/makeBlocks(_:)`` asked for are there, zeroed and nobody's.
    ///
    /// - Returns: their numbers, in the order of the growth's parts.
    package mutating func grown(_ growth: PoolGrowth) -> [BlockID] {
        self.pool.add(growth)
    }
}
