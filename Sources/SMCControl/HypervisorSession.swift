package import SMCSystem
package import SMCWire
internal import Synchronization

/// A partition's connection to its hypervisor. As long as it is open the partition exists; when it closes, or its
/// process dies, the hypervisor takes everything back that it held.
///
/// All calls may come from any thread; they take turns, and each ends within its deadline. It is not for the data path.
package final class HypervisorSession: Sendable {
    /// How long a call waits for its answer. The hypervisor answers within a millisecond when it is well.
    package static let defaultTimeout: Duration = .seconds(2)

    private let channel: Mutex<ControlChannel>
    private let timeout: Duration
    /// The socket. It hangs up when the hypervisor ends: watch it for that only, and close it never.
    package let descriptor: Int32
    /// Who the kernel says is at the other end.
    package let hypervisor: PeerIdentity

    /// User and process of the hypervisor.
    package struct PeerIdentity: Hashable, Sendable {
        package var processID: Int32
        package var userID: UInt32
    }

    private init(_ socket: consuming UnixSocket, hypervisor: PeerIdentity, timeout: Duration) {
        let descriptor = socket.descriptor.rawValue
        self.descriptor = descriptor
        self.hypervisor = hypervisor
        self.timeout = timeout
        self.channel = Mutex(ControlChannel(socket))
    }

    /// Opens a session and makes sure that a hypervisor of our version answers.
    ///
    /// - Parameter timeout: also for each later call.
    /// - Throws: ``ControlError/unavailable(_:)`` when nobody listens there.
    package static func connect(
        socketPath: String, timeout: Duration = HypervisorSession.defaultTimeout
    ) throws(ControlError) -> HypervisorSession {
        let session: HypervisorSession
        do throws(SystemCallError) {
            let socket = try Self.connectedSocket(socketPath, timeout)
            let credentials = try socket.peerCredentials()
            let identity = PeerIdentity(processID: credentials.processID, userID: credentials.userID)
            session = HypervisorSession(socket, hypervisor: identity, timeout: timeout)
        } catch {
            switch error.errno {
            case Errno.notFound, Errno.connectionRefused, Errno.accessDenied, Errno.tryAgain:
                throw .unavailable("no hypervisor answers at \(socketPath) (\(error))")
            default: throw .system(error)
            }
        }
        try session.perform(.hello)
        return session
    }

    /// The hypervisor's queue of connections may be full for a moment; then the kernel says "try again".
    private static func connectedSocket(_ path: String, _ timeout: Duration) throws(SystemCallError) -> UnixSocket {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while true {
            do throws(SystemCallError) {
                return try UnixSocket.connect(path: path)
            } catch {
                guard error.errno == Errno.tryAgain, ContinuousClock.now < deadline else { throw error }
                Process.sleep(milliseconds: 1)
            }
        }
    }

    /// Becomes a partition (A24, A38, A39).
    ///
    /// - Parameter name: for people; need not be unique.
    /// - Parameter vlans: empty means the default VLAN.
    package func join(name: String, vlans: [VLANID] = []) throws(ControlError) -> Membership {
        guard case .joined(let membership) = try self.ask(.join(name: name, vlans: vlans)) else {
            throw Self.wrongAnswer
        }
        return membership
    }

    /// Is that address on this machine and on a VLAN that we are on? (A45)
    package func queryCommonCEC(_ peer: SMGID) throws(ControlError) -> CommonCECAnswer {
        guard case .commonCEC(let answer) = try self.ask(.queryCommonCEC(peer)) else { throw Self.wrongAnswer }
        return answer
    }

    /// Takes an SMB from the pool (A25).
    ///
    /// - Parameter ringByteCount: at least so many; at most ``Membership/largestRingByteCount``.
    /// - Parameter address: one of our own; it says on which VLAN the SMB is.
    package func createSMB(ringByteCount: Int, on address: SMGID) throws(ControlError) -> CreatedSMB {
        try self.call(.createSMB(ringByteCount: max(0, ringByteCount), on: address)) {
            (response, descriptors) throws(ControlError) in
            guard case .created(let record) = response, record.isMapped else { throw Self.wrongAnswer }
            return CreatedSMB(
                owner: record.owner, file: try descriptors.takeMemory(byteCount: record.fileByteCount),
                ringByteCount: record.ringByteCount)
        }
    }

    /// Offers an SMB of ours to a peer (A27).
    package func bind(_ owner: OwnerToken, to peer: SMGID) throws(ControlError) -> BoundSMB {
        try self.call(.bind(owner, to: peer)) { (response, descriptors) throws(ControlError) in
            guard case .bound(let offer, let signal, let replacement) = response else { throw Self.wrongAnswer }
            let memory = try Self.replacement(replacement, &descriptors)
            return BoundSMB(offer: offer, signal: try Self.grant(signal, &descriptors), replacement: memory)
        }
    }

    /// Takes an SMB that `owner` offered to us (A28).
    package func accept(_ offer: OfferToken, from owner: SMGID) throws(ControlError) -> AcceptedSMB {
        try self.call(.accept(offer, from: owner)) { (response, descriptors) throws(ControlError) in
            guard case .accepted(let record) = response, record.isMapped else { throw Self.wrongAnswer }
            let file = try descriptors.takeMemory(byteCount: record.fileByteCount)
            return AcceptedSMB(
                buffer: record.buffer, file: file, ringByteCount: record.ringByteCount,
                signal: try Self.grant(record.signal, &descriptors))
        }
    }

    /// Turns an offer down (A29).
    package func reject(_ offer: OfferToken, from owner: SMGID) throws(ControlError) {
        try self.perform(.reject(offer, from: owner))
    }

    /// Lets go of a peer's SMB. Unmap it first: the memory is not used again before the last mapping is gone (A30).
    package func unbind(_ buffer: BufferToken) throws(ControlError) {
        try self.perform(.unbindBuffer(buffer))
    }

    /// Takes our SMB back from one peer, or from all (A30).
    ///
    /// - Returns: new memory with the same contents, if a peer had the old one: map it in its place with
    ///   ``Mapping/replace(with:)``. What is stored in the old one between this call and that is lost.
    /// - Throws: ``ControlError/refused(_:_:)`` with `smbEnded` when there was no memory to replace the old one: then the
    ///   peer has lost its right, and so have we; the SMB is no more.
    @discardableResult
    package func unbind(_ owner: OwnerToken, from peer: SMGID? = nil) throws(ControlError) -> MemoryFile? {
        try self.replaced(by: .unbindOwner(owner, from: peer))
    }

    /// Has the memory of our SMB replaced, so that nobody who had it has it any more. Peers that had it are unbound.
    ///
    /// - Returns: new memory with the same contents; nil when nobody had the old one.
    package func renew(_ owner: OwnerToken) throws(ControlError) -> MemoryFile? {
        try self.replaced(by: .renew(owner))
    }

    private func replaced(by request: ControlRequest) throws(ControlError) -> MemoryFile? {
        try self.call(request) { (response, descriptors) throws(ControlError) in
            if case .ended(let text) = response { throw .refused(.smbEnded, text) }
            guard case .replaced(let replacement) = response else { throw Self.wrongAnswer }
            return try Self.replacement(replacement, &descriptors)
        }
    }

    /// Takes more memory for a pool; returns when it is there (A35). Needs the role `quota`.
    ///
    /// - Parameter timeout: taking memory takes about a second for each few GiB.
    /// - Returns: by how many bytes the pool has grown: whole blocks, at most as much as was asked for.
    package func growPool(
        _ pool: PoolID, byteCount: Int, timeout: Duration = .seconds(120)
    ) throws(ControlError) -> Int {
        try self.changePool(.growPool(pool, byteCount: max(0, byteCount)), timeout)
    }

    /// Gives free memory of a pool back to the system. Needs the role `quota`.
    ///
    /// - Returns: how many bytes it could take: at most what was asked for, and nothing that anybody has.
    package func shrinkPool(_ pool: PoolID, byteCount: Int) throws(ControlError) -> Int {
        try self.changePool(.shrinkPool(pool, byteCount: max(0, byteCount)), self.timeout)
    }

    private func changePool(_ request: AdministrativeRequest, _ timeout: Duration) throws(ControlError) -> Int {
        try self.call(.administer(request), timeout: timeout) { (response, _) throws(ControlError) in
            guard case .poolChanged(let byteCount) = response else { throw Self.wrongAnswer }
            return byteCount
        }
    }

    /// Gives an SMB of ours back to the pool, bound or not (A26).
    package func destroy(_ owner: OwnerToken) throws(ControlError) {
        try self.perform(.destroy(owner))
    }

    /// Tells the hypervisor, for `smc status`, what a connection runs on.
    package func report(_ report: ConnectionReport) throws(ControlError) {
        try self.perform(.report(report))
    }

    package func reportClosed(_ identifier: UInt64) throws(ControlError) {
        try self.perform(.reportClosed(identifier))
    }

    /// The hypervisor's books. Works without joining.
    package func status() throws(ControlError) -> HypervisorStatus {
        var page = try self.statusPage(0)
        var status = page.beginning
        var nextItem = page.items.count
        while page.hasMore, !page.items.isEmpty {
            page = try self.statusPage(nextItem)
            page.append(to: &status)
            nextItem += page.items.count
        }
        return status
    }

    private func statusPage(_ firstItem: Int) throws(ControlError) -> StatusPage {
        guard case .status(let page) = try self.ask(.status(firstItem: firstItem)) else { throw Self.wrongAnswer }
        return page
    }
}

extension HypervisorSession {
    static let wrongAnswer = ControlError.protocolViolation("an answer of another kind than was asked for")

    private static func replacement(
        _ byteCount: Int?, _ descriptors: inout ReceivedDescriptors
    ) throws(ControlError) -> MemoryFile? {
        guard let byteCount else { return nil }
        return try descriptors.takeMemory(byteCount: byteCount)
    }

    static func grant(
        _ record: SignalRecord, _ descriptors: inout ReceivedDescriptors
    ) throws(ControlError) -> SignalGrant {
        SignalGrant(record: record, newPair: record.hasNewPair ? try descriptors.takePair() : nil)
    }

    func call<Result: ~Copyable & Sendable>(
        _ request: ControlRequest, timeout: Duration? = nil,
        _ read: (ControlResponse, inout ReceivedDescriptors) throws(ControlError) -> Result
    ) throws(ControlError) -> Result {
        var reply = try self.channel.withLock { (channel) throws(ControlError) in
            try channel.call(request, timeout: timeout ?? self.timeout)
        }
        return try read(reply.response, &reply.descriptors)
    }

    func ask(_ request: ControlRequest) throws(ControlError) -> ControlResponse {
        try self.call(request) { (response, _) in response }
    }

    func perform(_ request: ControlRequest) throws(ControlError) {
        switch try self.ask(request) {
        case .done, .welcome: return
        default: throw Self.wrongAnswer
        }
    }
}
