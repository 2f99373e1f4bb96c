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

/// Numbers memory that was re-registered; never used twice.
package struct AdoptedID: Hashable, Sendable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// An SMB of an earlier hypervisor that its holders have re-registered.
///
/// It is in nobody's pool: it is never offered or lent again, and is gone with its last holder. It needs no signals
/// either: its holders have those of the earlier hypervisor.
struct AdoptedBuffer: Sendable {
    struct Owner: Sendable {
        let caller: CallerID
        let address: SMGID
        let token: OwnerToken
    }

    struct Peer: Sendable {
        let caller: CallerID
        let address: SMGID
        let token: BufferToken
    }

    let identity: MemoryIdentity
    let vlan: VLANID
    let ringByteCount: Int
    let fileByteCount: Int
    /// Nil before it has re-registered, and once it has given the SMB back or is gone.
    var owner: Owner?
    /// As ``owner``.
    var peer: Peer?
    /// The owner took the binding back.
    var isWithdrawn = false

    var state: SMBStatus.State {
        guard self.peer != nil else { return .created }
        guard self.owner != nil else { return .orphaned }
        return self.isWithdrawn ? .withdrawn : .accepted
    }
}

/// All SMBs that were re-registered.
struct AdoptedBooks: Sendable {
    private(set) var buffers: [AdoptedID: AdoptedBuffer] = [:]
    private var byIdentity: [MemoryIdentity: AdoptedID] = [:]
    private var byOwner: [OwnerToken: AdoptedID] = [:]
    private var byPeer: [BufferToken: AdoptedID] = [:]

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

    mutating func add(_ id: AdoptedID, _ buffer: AdoptedBuffer) {
        self.buffers[id] = buffer
        self.byIdentity[buffer.identity] = id
    }

    mutating func setOwner(_ id: AdoptedID, _ owner: AdoptedBuffer.Owner) {
        self.buffers[id]?.owner = owner
        self.byOwner[owner.token] = id
    }

    mutating func setPeer(_ id: AdoptedID, _ peer: AdoptedBuffer.Peer) {
        self.buffers[id]?.peer = peer
        self.byPeer[peer.token] = id
    }

    mutating func withdraw(_ id: AdoptedID) {
        self.buffers[id]?.isWithdrawn = true
    }

    mutating func endOwner(_ id: AdoptedID) {
        guard let owner = self.buffers[id]?.owner else { return }
        self.byOwner[owner.token] = nil
        self.buffers[id]?.owner = nil
    }

    mutating func endPeer(_ id: AdoptedID) {
        guard let peer = self.buffers[id]?.peer else { return }
        self.byPeer[peer.token] = nil
        self.buffers[id]?.peer = nil
        self.buffers[id]?.isWithdrawn = false
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
