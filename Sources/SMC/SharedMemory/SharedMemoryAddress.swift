internal import SMCWire

/// The address of a partition on a VLAN (SM-GID): 128 bits, which the hypervisor draws.
public struct SharedMemoryAddress: Hashable, Sendable {
    let smgid: SMGID

    init(_ smgid: SMGID) {
        self.smgid = smgid
    }

    /// Reads what ``description`` gives; nil when it is something else.
    public init?(_ text: String) {
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ $0.utf8.count == 16 }), let gid = UInt64(halves[0], radix: 16),
            let extended = UInt64(halves[1], radix: 16)
        else { return nil }
        self.smgid = SMGID(gid: gid, extendedGID: extended)
    }
}

extension SharedMemoryAddress: CustomStringConvertible {
    /// 32 hexadecimal digits, the two halves joined by a colon.
    public var description: String { self.smgid.description }
}

/// An offer of an SMB to one peer. Tell it the peer by any means; nobody else can use it.
public struct SharedMemoryOffer: Hashable, Sendable {
    /// Names the offer.
    public var number: UInt64
    /// The address of the SMB's owner.
    public var owner: SharedMemoryAddress

    /// An offer that was told.
    public init(number: UInt64, owner: SharedMemoryAddress) {
        self.number = number
        self.owner = owner
    }
}
