internal import SMCControl
package import SMCMemory
package import SMCProtocol
internal import SMCSystem
package import SMCWire
internal import Synchronization

/// SMBs of a connection: ours, which we offer, and the peer's, which we accept.
extension SharedMemoryPartition {
    /// An SMB of ours, offered to a peer.
    package struct Offered: Sendable {
        /// Goes into CLC as the DMB token.
        package let offer: OfferToken
        package let address: SMGID
        package let element: BufferElement
        package let challenge: MemoryChallenge
        /// The token that it was created with; it names the SMB's listener.
        let owner: OwnerToken
        let smb: HeldSMB
        let signals: PairSignals
        let bit: Int

        /// Has `body` called when the peer signals something about this SMB.
        package func whenSignalled(_ body: @escaping @Sendable () -> Void) {
            self.signals.listen(bit: self.bit, of: self.owner, body)
        }

        /// The SMB in the words of CLC.
        package func endpoint(linkID: UInt32) -> DMBEndpoint {
            guard let size = CompressedSize(holding: self.element.ringByteCount) else {
                preconditionFailure("rings are powers of two from 16 KiB to 512 MiB")
            }
            return DMBEndpoint(
                gid: self.address, dmbToken: self.offer.rawValue, elementSize: size, linkID: linkID,
                channel: HandshakeConstants.channel)
        }
    }

    /// A peer's SMB, accepted.
    package struct Accepted: Sendable {
        package let element: BufferElement
        let smb: HeldSMB
        let signals: PairSignals
        let bit: Int

        /// Answers the peer's challenge in its memory, and signals it.
        package func respond() {
            self.element.respond(self.element.challenge.expectedResponse)
            self.signals.signal(bit: self.bit)
        }
    }

    /// The common-CEC query (seed A45), for each address until one is common.
    ///
    /// - Returns: the peer's address, and ours on the same VLAN.
    package func findCommon(_ peers: [SMGID]) async throws(FallbackReason) -> (peer: SMGID, ours: SMGID) {
        let answer = try await self.call { (joined) throws(ControlError) -> Result<Common, FallbackReason> in
            var reason = FallbackReason(.peerDidNotOffer, "the peer named no address on a VLAN")
            for peer in peers {
                switch try joined.session.queryCommonCEC(peer) {
                case .common(let vlan):
                    guard let ours = joined.membership.addresses.first(where: { $0.vlan == vlan }) else { continue }
                    return .success((peer, ours.smgid))
                case .notCommon(let refusal, let text):
                    reason = FallbackReason(refusal: refusal, text)
                }
            }
            return .failure(reason)
        }
        return try answer.get()
    }

    private typealias Common = (peer: SMGID, ours: SMGID)

    /// Creates an SMB and binds it to a peer (seed A25, A27). A smaller ring is taken when the pool has no larger one.
    package func offer(to peer: SMGID, from address: SMGID) async throws(FallbackReason) -> Offered {
        try await self.call { (joined) throws(ControlError) in
            let created = try self.create(joined, address)
            let owner = created.owner
            do throws(ControlError) {
                let bound = try joined.session.bind(owner, to: peer)
                let (offer, size) = (bound.offer, created.ringByteCount)
                let grant = bound.takeSignal()
                let bit = grant.bit
                let signals = try self.signals(grant)
                let vlan = joined.membership.vlan(of: address)
                let smb = try self.hold(created.takeFile(), size, on: vlan, .owner(owner), of: joined.session)
                let element = BufferElement(sharedMemory: smb.mapping, ringByteCount: size)
                let challenge = MemoryChallenge.random()
                element.writeHeader(challenge: challenge)
                return Offered(
                    offer: offer, address: address, element: element, challenge: challenge, owner: owner, smb: smb,
                    signals: signals, bit: bit)
            } catch {
                // Whatever failed, the SMB goes back.
                self.tell {
                    joined.session
                } _: { (session) throws(ControlError) in
                    try session.destroy(owner)
                }
                throw error
            }
        }
    }

    private func create(_ joined: Joined, _ address: SMGID) throws(ControlError) -> CreatedSMB {
        var size = min(self.ringByteCount, joined.membership.largestRingByteCount)
        while true {
            do throws(ControlError) {
                return try joined.session.createSMB(ringByteCount: size, on: address)
            } catch {
                guard case .refused(let code, _) = error, code == .poolExhausted || code == .quotaExceeded,
                    size / 4 >= BufferElementLayout.ringByteCountRange.lowerBound
                else { throw error }
                size /= 4
            }
        }
    }

    /// Accepts a peer's SMB (seed A28): receives the memory and maps it.
    ///
    /// - Parameter ours: the address of ours that it was offered to.
    package func accept(
        _ offer: OfferToken, from owner: SMGID, to ours: SMGID
    ) async throws(FallbackReason) -> Accepted {
        try await self.call { (joined) throws(ControlError) in
            let accepted = try joined.session.accept(offer, from: owner)
            let buffer = accepted.buffer
            do throws(ControlError) {
                let (size, byteCount) = (accepted.ringByteCount, accepted.file.byteCount)
                guard BufferElementLayout.isValid(ringByteCount: size),
                    byteCount >= BufferElementLayout.controlByteCount + size
                else { throw .protocolViolation("an SMB of \(byteCount) bytes with a ring of \(size)") }
                let vlan = joined.membership.vlan(of: ours)
                return try accepted.take { (file, grant) throws(ControlError) in
                    let bit = grant.bit
                    let signals = try self.signals(grant)
                    let smb = try self.hold(file, size, on: vlan, .peer(buffer), of: joined.session)
                    return Accepted(
                        element: BufferElement(sharedMemory: smb.mapping, ringByteCount: size), smb: smb,
                        signals: signals, bit: bit)
                }
            } catch {
                self.tell {
                    joined.session
                } _: { (session) throws(ControlError) in
                    try session.unbind(buffer)
                }
                throw error
            }
        }
    }

    /// Refuses a peer's offer (seed A29).
    package func reject(_ offer: OfferToken, from owner: SMGID) {
        guard let joined = self.state.withLock({ $0.joined }) else { return }
        self.worker.enqueue { try? joined.session.reject(offer, from: owner) }
    }

    /// Gives an SMB of ours back.
    package func release(_ offered: Offered) {
        offered.signals.stopListening(bit: offered.bit, of: offered.owner)
        self.letGo(offered.smb)
        self.giveBack(offered.smb, offered.signals)
    }

    /// Lets a peer's SMB go.
    package func release(_ accepted: Accepted) {
        self.letGo(accepted.smb)
        self.giveBack(accepted.smb, accepted.signals)
    }

    /// - Parameter signals: of its pair, which must live until the hypervisor knows that the SMB does not.
    private func giveBack(_ smb: HeldSMB, _ signals: PairSignals) {
        self.worker.enqueue { smb.closeMemory() }
        self.tell {
            smb.session
        } _: { (session) throws(ControlError) in
            try withExtendedLifetime(signals) { () throws(ControlError) in try smb.giveBack(to: session) }
        }
    }
}
