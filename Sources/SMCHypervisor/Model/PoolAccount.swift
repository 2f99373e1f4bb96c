package import SMCWire

/// Numbers a block of the pools; never used twice, so that a block which is gone is not taken for another.
package struct BlockID: Hashable, Sendable {
    package var rawValue: Int

    package init(_ rawValue: Int) {
        self.rawValue = rawValue
    }
}

/// One pool when the hypervisor starts (seed A35).
package struct PoolLayout: Hashable, Sendable {
    package var id: PoolID
    package var pages: PoolStatus.Pages
    /// Its blocks, and the shape of those to come.
    package var geometry: PoolGeometry

    package init(_ id: PoolID = .default, pages: PoolStatus.Pages = .ordinary, _ geometry: PoolGeometry) {
        self.id = id
        self.pages = pages
        self.geometry = geometry
    }
}

/// The partition that a block counts against.
enum PartitionAccount: Hashable, Sendable {
    /// By the name that an administrator defined, for as long as the hypervisor lives.
    case defined(String)
    case session(CallerID)
}

/// Who a block is for. The block counts against both until nobody has it any more, whoever keeps it.
struct BlockHolder: Hashable, Sendable {
    let vlan: VLANID
    let partition: PartitionAccount
}

/// What bytes of the pools are counted against (seed A62).
enum PoolAccount: Hashable, Sendable {
    case vlan(VLANID)
    /// A VLAN's part of one pool.
    case slice(VLANID, PoolID)
    case partition(PartitionAccount)
    /// A partition on one of its VLANs.
    case member(PartitionAccount, VLANID)

    static func all(of holder: BlockHolder, in pool: PoolID) -> [PoolAccount] {
        [
            .vlan(holder.vlan), .slice(holder.vlan, pool), .partition(holder.partition),
            .member(holder.partition, holder.vlan),
        ]
    }
}

/// What an account may use at most.
struct PoolLimit: Sendable {
    let account: PoolAccount
    let byteCount: Int
    /// The account's name, as the subject of a sentence.
    let name: String

    var refusal: HypervisorRefusal {
        switch self.account {
        case .vlan, .slice: .poolExhausted
        case .partition, .member: .quotaExceeded
        }
    }
}

/// What is wanted of the pools.
struct BlockRequest: Sendable {
    /// The least size of the ring.
    var ringByteCount: Int
    var holder: BlockHolder
    /// In which pools to look; nil is all.
    var pools: Set<PoolID>?
    var limits: [PoolLimit]
}

/// Blocks by which a pool is to grow. Made and checked first, booked when their memory is there.
package struct PoolGrowth: Hashable, Sendable {
    package struct Part: Hashable, Sendable {
        package var ringByteCount: Int
        package var fileByteCount: Int
        package var blockCount: Int
    }

    package var pool: PoolID
    package var pages: PoolStatus.Pages
    package var parts: [Part]

    package init(pool: PoolID, pages: PoolStatus.Pages, parts: [Part]) {
        self.pool = pool
        self.pages = pages
        self.parts = parts
    }

    /// All that a layout has.
    package init(_ layout: PoolLayout) {
        let geometry = layout.geometry
        self.init(
            pool: layout.id, pages: layout.pages,
            parts: geometry.classes.map {
                Part(
                    ringByteCount: $0.ringByteCount,
                    fileByteCount: geometry.fileByteCount(ringByteCount: $0.ringByteCount), blockCount: $0.blockCount)
            })
    }

    package var blockCount: Int {
        self.parts.reduce(0) { $0 + $1.blockCount }
    }

    package var byteCount: Int {
        self.parts.reduce(0) { $0 + $1.blockCount * $1.fileByteCount }
    }
}
