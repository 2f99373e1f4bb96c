internal import SMCWire

/// Which memory a descriptor leads to, as the shell found out from the kernel.
package struct MemoryIdentity: Hashable, Sendable {
    package var device: UInt64
    package var inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// Numbers memory that was re-registered; never used twice, and by no other SMB either.
package struct AdoptedID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static func < (left: AdoptedID, right: AdoptedID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// An SMB of an earlier hypervisor that its holders have re-registered.
///
/// It is in nobody's pool: it is never offered, replaced or lent again, and is gone with its last holder. It needs no
/// signals either: its holders have those of the earlier hypervisor.
struct AdoptedBuffer: Sendable {
    struct Holder<Token: Sendable>: Sendable {
        let caller: CallerID
        let address: SMGID
        let token: Token
    }

    let identity: MemoryIdentity
    let vlan: VLANID
    let ringByteCount: Int
    let fileByteCount: Int
    /// Nil before it has re-registered, and once it has given the SMB back or is gone.
    var owner: Holder<OwnerToken>?
    /// As ``owner``.
    var peer: Holder<BufferToken>?
    /// The account that it is charged to: the owner's, as long as there is one.
    var account: PartitionAccount?
}

/// All SMBs that were re-registered.
struct AdoptedBooks: Sendable {
    private(set) var buffers: [AdoptedID: AdoptedBuffer] = [:]
    private var byIdentity: [MemoryIdentity: AdoptedID] = [:]
    private var byOwner: [OwnerToken: AdoptedID] = [:]
    private var byPeer: [BufferToken: AdoptedID] = [:]
    /// What each address owns or is the peer of.
    private var byAddress: [SMGID: Set<AdoptedID>] = [:]

    var count: Int { self.buffers.count }

    func find(_ identity: MemoryIdentity) -> (id: AdoptedID, buffer: AdoptedBuffer)? {
        self.byIdentity[identity].flatMap { id in self.buffers[id].map { (id, $0) } }
    }

    func find(_ token: OwnerToken, of caller: CallerID) -> AdoptedID? {
        guard let id = self.byOwner[token], self.buffers[id]?.owner?.caller == caller else { return nil }
        return id
    }

    func find(_ token: BufferToken, of caller: CallerID) -> AdoptedID? {
        guard let id = self.byPeer[token], self.buffers[id]?.peer?.caller == caller else { return nil }
        return id
    }

    func held(by address: SMGID) -> [AdoptedID] {
        (self.byAddress[address] ?? []).sorted()
    }

    mutating func add(_ id: AdoptedID, _ buffer: AdoptedBuffer) {
        self.buffers[id] = buffer
        self.byIdentity[buffer.identity] = id
    }

    mutating func setOwner(_ id: AdoptedID, _ owner: AdoptedBuffer.Holder<OwnerToken>, _ account: PartitionAccount) {
        self.buffers[id]?.owner = owner
        self.buffers[id]?.account = account
        self.byOwner[owner.token] = id
        self.byAddress[owner.address, default: []].insert(id)
    }

    mutating func setPeer(_ id: AdoptedID, _ peer: AdoptedBuffer.Holder<BufferToken>) {
        self.buffers[id]?.peer = peer
        self.byPeer[peer.token] = id
        self.byAddress[peer.address, default: []].insert(id)
    }

    mutating func endOwner(_ id: AdoptedID) {
        guard let buffer = self.buffers[id], let owner = buffer.owner else { return }
        self.byOwner[owner.token] = nil
        self.buffers[id]?.owner = nil
        self.buffers[id]?.account = nil
        if buffer.peer?.address != owner.address { self.forget(id, at: owner.address) }
    }

    mutating func endPeer(_ id: AdoptedID) {
        guard let buffer = self.buffers[id], let peer = buffer.peer else { return }
        self.byPeer[peer.token] = nil
        self.buffers[id]?.peer = nil
        if buffer.owner?.address != peer.address { self.forget(id, at: peer.address) }
    }

    private mutating func forget(_ id: AdoptedID, at address: SMGID) {
        self.byAddress[address]?.remove(id)
        if self.byAddress[address]?.isEmpty == true { self.byAddress[address] = nil }
    }

    /// Takes it out of the books if nobody holds it.
    ///
    /// - Returns: what was taken out.
    mutating func removeIfUnheld(_ id: AdoptedID) -> AdoptedBuffer? {
        guard let buffer = self.buffers[id], buffer.owner == nil, buffer.peer == nil else { return nil }
        self.buffers[id] = nil
        self.byIdentity[buffer.identity] = nil
        return buffer
    }
}
