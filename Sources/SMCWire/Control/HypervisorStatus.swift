/// The books of a hypervisor as `smc status` shows them. No token is ever in them.
package struct HypervisorStatus: Hashable, Sendable {
    package var processID: Int32
    package var cec: CECID
    /// Whether the shared memory function is enabled on the whole CEC.
    package var isFunctionEnabled: Bool
    package var pools: [PoolStatus]
    package var vlans: [VLANStatus]
    package var partitions: [PartitionStatus]
    package var smbs: [SMBStatus]
    package var connections: [ConnectionStatus]
    package var usages: [UsageStatus] = []
    /// What administrators defined.
    package var definitions: [PartitionDefinition]
    package var authorisations: [Authorisation]

    package init(
        processID: Int32, cec: CECID, isFunctionEnabled: Bool = true, pools: [PoolStatus] = [],
        vlans: [VLANStatus] = [], partitions: [PartitionStatus] = [], smbs: [SMBStatus] = [],
        connections: [ConnectionStatus] = [], definitions: [PartitionDefinition] = [],
        authorisations: [Authorisation] = []
    ) {
        self.processID = processID
        self.cec = cec
        self.isFunctionEnabled = isFunctionEnabled
        self.definitions = definitions
        self.authorisations = authorisations
        self.pools = pools
        self.vlans = vlans
        self.partitions = partitions
        self.smbs = smbs
        self.connections = connections
    }
}

/// One size class of a pool.
package struct PoolStatus: Hashable, Sendable {
    /// What a pool's memory is made of.
    package enum Pages: UInt8, Sendable, CaseIterable {
        case ordinary = 1
        case huge
        /// Huge ones were asked for, but there were not so many.
        case ordinaryForHuge
    }

    package var pool: PoolID
    package var pages: Pages
    package var ringByteCount: Int
    /// Bytes that one block takes: control area, ring, and what rounding to pages adds.
    package var fileByteCount: Int
    package var blockCount: Int
    package var freeCount: Int
    /// Given back, but not yet free: to be zeroed, or still mapped by a process that had it.
    package var reclaimingCount: Int

    package init(
        pool: PoolID = .default, pages: Pages = .ordinary, ringByteCount: Int, fileByteCount: Int, blockCount: Int,
        freeCount: Int, reclaimingCount: Int
    ) {
        self.pool = pool
        self.pages = pages
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
        self.blockCount = blockCount
        self.freeCount = freeCount
        self.reclaimingCount = reclaimingCount
    }
}

package struct VLANStatus: Hashable, Sendable {
    package var definition: VLANDefinition
    /// Bytes of the pool in use by this VLAN's SMBs, control areas included.
    package var usedByteCount: Int
    /// Bytes of the pool that this VLAN may use now.
    package var limitByteCount: Int
    /// Addresses on it.
    package var partitionCount: Int

    package var vlan: VLANID { self.definition.id }

    package init(definition: VLANDefinition, usedByteCount: Int, limitByteCount: Int, partitionCount: Int) {
        self.definition = definition
        self.usedByteCount = usedByteCount
        self.limitByteCount = limitByteCount
        self.partitionCount = partitionCount
    }
}

package struct PartitionStatus: Hashable, Sendable {
    package var name: String
    package var processID: Int32
    package var userID: UInt32
    package var addresses: [Membership.Address]

    package init(name: String, processID: Int32, userID: UInt32, addresses: [Membership.Address]) {
        self.name = name
        self.processID = processID
        self.userID = userID
        self.addresses = addresses
    }
}

/// Memory of a VLAN that one partition uses, what it has given back but somebody still holds included.
package struct UsageStatus: Hashable, Sendable {
    /// Empty when the partition has ended and its memory has not come back yet.
    package var partition: String
    /// Nil for a partition that administrators defined: all its sessions use one account.
    package var processID: Int32?
    package var vlan: VLANID
    package var usedByteCount: Int
    /// Nil: as much as the VLAN.
    package var limitByteCount: Int?

    package init(partition: String, processID: Int32?, vlan: VLANID, usedByteCount: Int, limitByteCount: Int?) {
        self.partition = partition
        self.processID = processID
        self.vlan = vlan
        self.usedByteCount = usedByteCount
        self.limitByteCount = limitByteCount
    }
}

package struct SMBStatus: Hashable, Sendable {
    /// Where an SMB is in its life; drawn in `Docs/Hypervisor.md`.
    package enum State: UInt8, Sendable, CaseIterable {
        /// It is bound to nobody.
        case created = 1
        /// Bound to a peer that has not answered.
        case offered
        /// The peer has a right to it too.
        case accepted
        /// An SMB of an earlier hypervisor that its peer has re-registered, and its owner has not, or holds no longer.
        case orphaned
    }

    /// Never used twice by one hypervisor.
    package var number: UInt64
    package var vlan: VLANID
    /// Nobody if it is orphaned.
    package var owner: SMGID?
    /// One of its peers: an SMB that is bound to several is there once for each.
    package var peer: SMGID?
    package var ringByteCount: Int
    package var state: State
    /// A former peer may still hold its memory.
    package var isTainted: Bool

    package init(
        number: UInt64, vlan: VLANID, owner: SMGID?, peer: SMGID?, ringByteCount: Int, state: State,
        isTainted: Bool = false
    ) {
        self.number = number
        self.vlan = vlan
        self.owner = owner
        self.peer = peer
        self.ringByteCount = ringByteCount
        self.state = state
        self.isTainted = isTainted
    }
}

/// A connection as its partition reported it.
package struct ConnectionStatus: Hashable, Sendable {
    package var partition: String
    package var report: ConnectionReport

    package init(partition: String, report: ConnectionReport) {
        self.partition = partition
        self.report = report
    }
}
