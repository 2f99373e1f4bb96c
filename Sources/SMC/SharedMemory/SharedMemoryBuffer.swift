internal import SMCControl
internal import SMCWire
internal import Synchronization

/// A shared memory buffer (SMB): memory of the hypervisor's pool, reached by token (seed A12, A23).
///
/// Its owner created it and may offer it to any number of partitions on its VLAN; each that accepts may move bytes into
/// and out of it. All of it is plain memory: what the bytes mean is agreed between the users. Methods may be called
/// from any task; moves of several partitions are not ordered against each other, ``compareAndMove(at:expected:desired:)``
/// is.
public final class SharedMemoryBuffer: Sendable {
    enum Right: Sendable {
        case owner(OwnerToken, SharedMemoryAddress)
        case peer(BufferToken, SharedMemoryAddress, SignalToken, SharedMemorySession.BitID)
    }

    /// The most bytes of one move.
    public static let moveByteCountMax = 61_440

    private let session: SharedMemorySession
    private let right: Right
    /// Bytes of the buffer.
    public let byteCount: Int
    private struct Grant {
        let token: SignalToken
        let id: SharedMemorySession.BitID
    }
    /// The owner's signal tokens.
    private let grants = Mutex<[SharedMemoryAddress: Grant]>([:])

    init(_ session: SharedMemorySession, _ right: Right, byteCount: Int) {
        self.session = session
        self.right = right
        self.byteCount = byteCount
    }

    /// Whether this partition created it.
    public var isOwned: Bool {
        if case .owner = self.right { true } else { false }
    }

    private func ownership() throws(SMCError) -> (token: OwnerToken, address: SharedMemoryAddress) {
        guard case .owner(let token, let address) = self.right else {
            throw SMCError(.refused, "only the owner of an SMB may bind and destroy it; this one was accepted")
        }
        return (token, address)
    }

    private var access: BufferAccess {
        switch self.right {
        case .owner(let token, _): .owner(token)
        case .peer(let token, _, _, _): .peer(token)
        }
    }

    // MARK: Who may use it

    /// Offers it to a partition on its VLAN; once to each (seed A27).
    public func bind(to peer: SharedMemoryAddress) async throws(SMCError) -> SharedMemoryOffer {
        let (token, address) = try self.ownership()
        let offer = try await self.session.run { (session) throws(ControlError) in
            let bound = try session.bind(token, to: peer.smgid)
            let offer = bound.offer
            let grant = bound.takeSignal()
            let signal = grant.token
            let id = try self.session.keep(grant)
            self.grants.withLock { $0[peer] = Grant(token: signal, id: id) }
            self.session.listen(self, id)
            return offer
        }
        return SharedMemoryOffer(number: offer.rawValue, owner: address)
    }

    /// Those that it is bound to, and whether they have accepted.
    public func bindings() async throws(SMCError) -> [SharedMemoryAddress: Bool] {
        let token = try self.ownership().token
        let records = try await self.session.run { (session) throws(ControlError) in try session.bindings(token) }
        return Dictionary(uniqueKeysWithValues: records.map { (SharedMemoryAddress($0.peer), $0.isAccepted) })
    }

    /// The owner takes it back from one peer, or from all; an accepted peer lets go of it (seed A30).
    ///
    /// From then on the peer can neither read nor write it.
    public func unbind(from peer: SharedMemoryAddress? = nil) async throws(SMCError) {
        switch self.right {
        case .owner(let token, _):
            try await self.session.run { (session) throws(ControlError) in
                try session.unbind(token, from: peer?.smgid)
                self.releaseGrants(of: peer)
            }
        case .peer(let token, _, _, let id):
            try await self.session.run { (session) throws(ControlError) in
                try session.unbind(token)
                self.session.release(id)
            }
        }
    }

    /// Gives it back to the pool (seed A26). Its peers lose it.
    public func destroy() async throws(SMCError) {
        let token = try self.ownership().token
        try await self.session.run { (session) throws(ControlError) in
            try session.destroy(token)
            self.releaseGrants(of: nil)
        }
    }

    private func releaseGrants(of peer: SharedMemoryAddress?) {
        let ended = self.grants.withLock { grants -> [Grant] in
            guard let peer else {
                defer { grants.removeAll() }
                return Array(grants.values)
            }
            return [grants.removeValue(forKey: peer)].compactMap(\.self)
        }
        for grant in ended { self.session.release(grant.id) }
    }

    // MARK: Data

    /// SM Move out of the buffer (seed A31).
    ///
    /// - Parameter byteCount: at most ``moveByteCountMax``.
    public func move(from offset: Int, byteCount: Int) async throws(SMCError) -> [UInt8] {
        let access = self.access
        try self.check(offset, byteCount)
        return try await self.session.run { (session) throws(ControlError) in
            try session.read(access, offset: offset, byteCount: byteCount)
        }
    }

    /// SM Move into the buffer (seed A31).
    ///
    /// - Parameter bytes: at most ``moveByteCountMax``.
    public func move(_ bytes: [UInt8], to offset: Int) async throws(SMCError) {
        let access = self.access
        try self.check(offset, bytes.count)
        try await self.session.run { (session) throws(ControlError) in
            try session.write(access, offset: offset, bytes: bytes)
        }
    }

    /// SM CS Move (seed A32): exchanges a word, in the machine's byte order, if it holds what is expected, in one
    /// indivisible step.
    ///
    /// - Parameter offset: a multiple of 8.
    /// - Returns: what the word held before; it was exchanged if that is `expected`.
    public func compareAndMove(
        at offset: Int, expected: UInt64, desired: UInt64
    ) async throws(SMCError) -> UInt64 {
        let access = self.access
        try self.check(offset, 8)
        return try await self.session.run { (session) throws(ControlError) in
            try session.compareAndMove(access, offset: offset, expected: expected, desired: desired)
        }
    }

    /// Refused here already, because such a request could not even be written down.
    private func check(_ offset: Int, _ byteCount: Int) throws(SMCError) {
        guard offset >= 0, (1...Self.moveByteCountMax).contains(byteCount) else {
            throw SMCError(
                .refused,
                "\(byteCount) bytes at \(offset): a move has 1 to \(Self.moveByteCountMax) bytes inside of the SMB")
        }
    }

    /// SIGB (seed A33): interrupts the counterpart about this buffer. An accepted peer signals the owner.
    ///
    /// - Parameter peer: whom the owner signals; nil: all peers.
    public func signal(_ peer: SharedMemoryAddress? = nil) async throws(SMCError) {
        let tokens: [SignalToken]
        switch self.right {
        case .peer(_, _, let token, _): tokens = [token]
        case .owner:
            tokens = self.grants.withLock { grants in
                peer.map { [grants[$0]?.token].compactMap(\.self) } ?? grants.values.map(\.token)
            }
        }
        try await self.session.run { (session) throws(ControlError) in
            for token in tokens { try session.signal(token) }
        }
    }
}
