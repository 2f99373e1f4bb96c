internal import SMCWire

/// The pools: who may use how much, and how they grow and shrink at run time.
extension Hypervisor {
    // MARK: Limits

    /// Bytes of its pool that a VLAN may use (A62).
    func limit(_ vlan: VLANBooks) -> Int {
        min(vlan.definition.sliceByteCount ?? .max, self.pools.byteCount(of: vlan.definition.pool))
    }

    /// What a session's blocks on a VLAN are counted against, the tightest kind first.
    func limits(_ session: Session, _ vlan: VLANBooks) -> [PoolLimit] {
        let id = vlan.definition.id
        let account = session.account
        let name = session.isDefined ? session.name : ""
        var limits: [PoolLimit] = []
        if let byteCount = vlan.authorisations[name]?.limitByteCount ?? vlan.definition.partitionLimitByteCount {
            limits.append(
                PoolLimit(
                    account: .member(account, id), byteCount: byteCount,
                    name: "The partition '\(session.name)' on VLAN \(id)"))
        }
        if let byteCount = self.partitions[name]?.definition.limitByteCount {
            limits.append(
                PoolLimit(
                    account: .partition(account), byteCount: byteCount, name: "The partition '\(session.name)'"))
        }
        limits.append(PoolLimit(account: .vlan(id), byteCount: self.limit(vlan), name: "VLAN \(id)"))
        return limits
    }

    /// Takes a block within the limits of the VLAN and of the caller's partition.
    mutating func takeBlock(
        _ ringByteCount: Int, for caller: CallerID, on vlan: VLANID
    ) throws(Refused) -> BlockID {
        guard let books = self.vlans[vlan], let session = self.sessions[caller] else { throw Refused(.unknownVLAN) }
        return try self.pools.take(
            BlockRequest(
                ringByteCount: ringByteCount,
                holder: BlockHolder(vlan: vlan, partition: session.account), pools: [books.definition.pool],
                limits: self.limits(session, books)))
    }

    // MARK: Growing and shrinking

    /// More memory for a pool. It is in the books when it is there: see ``Effect/makeBlocks(_:)``.
    mutating func growPool(_ identity: CallerIdentity, _ pool: PoolID, _ byteCount: Int) throws(Refused)
        -> ControlResponse
    {
        try self.require(.quota, on: nil, identity)
        let growth = try self.pools.growth(of: pool, byteCount: byteCount)
        self.effects.append(.makeBlocks(growth))
        return .poolChanged(byteCount: growth.byteCount)
    }

    /// Less memory for a pool: of what is free, at most so much. What anybody has is not touched.
    mutating func shrinkPool(_ identity: CallerIdentity, _ pool: PoolID, _ byteCount: Int) throws(Refused)
        -> ControlResponse
    {
        try self.require(.quota, on: nil, identity)
        let before = self.pools.byteCount(of: pool)
        let removed = try self.pools.shrink(pool, byteCount: byteCount)
        if !removed.isEmpty { self.effects.append(.dropBlocks(removed)) }
        return .poolChanged(byteCount: before - self.pools.byteCount(of: pool))
    }

    /// The blocks that ``Effect/makeBlocks(_:)`` asked for are there, zeroed and nobody's.
    ///
    /// - Returns: their numbers, in the order of the growth's parts.
    package mutating func grown(_ growth: PoolGrowth) -> [BlockID] {
        self.pools.add(growth)
    }
}
