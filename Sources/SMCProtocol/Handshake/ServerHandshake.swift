package import SMCWire

/// The listening side of CLC: finds what both ends can use, fastest first (PROTOCOL 2.8).
package struct ServerHandshake: Hashable, Sendable {
    /// A way that both ends offered; whether it works shows when it is set up.
    package enum Candidate: Hashable, Sendable {
        /// Ask the hypervisor the common-CEC query for these addresses, in order.
        case sharedMemory(peerAddresses: [SMGID])
        case rdma(RDMATerms)

        package var path: DecisionRecord.PathKind {
            switch self {
            case .sharedMemory: .sharedMemory
            case .rdma: .rdma
            }
        }
    }

    /// What was agreed for RDMA.
    package struct RDMATerms: Hashable, Sendable {
        package var peer: RemoteHost
        package var eid: EID
        package var release: UInt8
        package var maxConnections: UInt8
        package var maxLinks: UInt8
    }

    private enum State: Hashable {
        case idle
        /// A candidate is being set up, or its Accept is sent.
        case selecting(Proposal)
        case over
    }
    private var state = State.idle
    /// What we can use; its record collects why not more.
    package private(set) var offer: LocalOffer

    package init(offer: LocalOffer) {
        self.offer = offer
    }

    /// What to do with the client's first message.
    package enum OnFirstMessage: Hashable {
        /// Try these in order; for each that cannot be, call ``refuse(_:_:)``; if all fail, ``decline()``.
        case select([Candidate])
        /// The client has nothing to propose: go on with TCP.
        case useTCP
        case fail(String)
    }

    package mutating func received(first message: CLCMessage) -> OnFirstMessage {
        guard case .idle = self.state else { return .fail("a second CLC \(message.type) came") }
        switch message {
        case .decline(let decline):
            self.state = .over
            self.offer.note(decline)
            return .useTCP
        case .accept, .confirm:
            self.state = .over
            return .fail("it began CLC with a \(message.type)")
        case .proposal(let proposal):
            self.state = .selecting(proposal)
            return .select(self.candidates(for: proposal))
        }
    }

    private mutating func candidates(for proposal: Proposal) -> [Candidate] {
        guard let terms = proposal.v2Extension, proposal.version == .two else {
            let reason = FallbackReason(.versionMismatch, "the peer offers SMC version 1 only")
            self.offer.record.refuse(.sharedMemory, reason)
            self.offer.record.refuse(.rdma, reason)
            return []
        }
        var candidates: [Candidate] = []
        if let candidate = self.sharedMemoryCandidate(terms) { candidates.append(candidate) }
        if let candidate = self.rdmaCandidate(proposal, terms) { candidates.append(candidate) }
        return candidates
    }

    private mutating func sharedMemoryCandidate(_ terms: ProposalV2Extension) -> Candidate? {
        guard let place = self.offer.sharedMemory else { return nil }  // The record has the reason.
        guard let theirs = terms.smcd else {
            self.offer.record.refuse(
                .sharedMemory, FallbackReason(.peerDidNotOffer, "the peer does not offer shared memory"))
            return nil
        }
        guard terms.isSEIDEnabled, theirs.seid == place.systemEID else {
            self.offer.record.refuse(
                .sharedMemory, FallbackReason(.differentCEC, "the peer is on another CEC (its hypervisor is not ours)"))
            return nil
        }
        let addresses = theirs.devices.filter { $0.channel == HandshakeConstants.channel }.map(\.gid)
        guard !addresses.isEmpty else {
            self.offer.record.refuse(
                .sharedMemory, FallbackReason(.peerDidNotOffer, "the peer offers shared memory of another kind"))
            return nil
        }
        return .sharedMemory(peerAddresses: addresses)
    }

    private mutating func rdmaCandidate(_ proposal: Proposal, _ terms: ProposalV2Extension) -> Candidate? {
        guard let rdma = self.offer.rdma else { return nil }  // The record has the reason.
        guard proposal.modesV2.includesRDMA else {
            self.offer.record.refuse(.rdma, FallbackReason(.peerDidNotOffer, "the peer does not offer RDMA"))
            return nil
        }
        guard let eid = terms.eids.first(where: rdma.userEIDs.contains) else {
            let ours = rdma.userEIDs.map(\.text).joined(separator: ", ")
            let theirs = terms.eids.map(\.text).joined(separator: ", ")
            self.offer.record.refuse(
                .rdma, FallbackReason(.noCommonUEID, "no common UEID: ours [\(ours)], the peer's [\(theirs)]"))
            return nil
        }
        let release = min(terms.release, HandshakeConstants.release)
        let connections = release == 0 ? 255 : min(terms.maxConnections, HandshakeConstants.maxConnections)
        let links = release == 0 ? 2 : min(terms.maxLinks, HandshakeConstants.maxLinks)
        guard connections >= 16, links >= 1 else {
            self.offer.record.refuse(
                .rdma, FallbackReason(.versionMismatch, "the peer allows \(connections) connections on \(links) links"))
            return nil
        }
        let isOurs = proposal.vendorOUI == HandshakeConstants.vendorOUI
        let peer = RemoteHost(
            peerID: proposal.peerID, instance: isOurs ? UInt32(truncatingIfNeeded: proposal.vendorOptions) : 0,
            gid: terms.roceGID)
        return .rdma(
            RDMATerms(peer: peer, eid: eid, release: release, maxConnections: connections, maxLinks: links))
    }

    /// A candidate (or a medium of our own) turned out not to work.
    package mutating func refuse(_ path: DecisionRecord.PathKind, _ reason: FallbackReason) {
        self.offer.record.refuse(path, reason)
    }

    /// Offers a candidate that was set up, with our buffer.
    package func accept(_ candidate: Candidate, body: CLCBody, isFirstContact: Bool) -> Accept {
        switch candidate {
        case .sharedMemory:
            return Accept(
                body: body, negotiatedEID: self.offer.sharedMemory?.systemEID ?? .zero,
                firstContactExtension: self.offer.firstContact(
                    release: HandshakeConstants.release, maxConnections: 0, maxLinks: 0, isRDMA: false))
        case .rdma(let terms):
            let extra = self.offer.firstContact(
                release: terms.release, maxConnections: terms.maxConnections, maxLinks: terms.maxLinks, isRDMA: true)
            return Accept(body: body, negotiatedEID: terms.eid, firstContactExtension: isFirstContact ? extra : nil)
        }
    }

    /// What to do with the answer to the Accept.
    package enum OnAnswer: Hashable {
        /// Join the client's buffer.
        case join(CLCBody)
        /// Go on with TCP. `endLinkGroup`: the client does not know the link group; end it.
        case useTCP(endLinkGroup: Bool)
        /// Send the Decline and go on with TCP.
        case decline(Decline)
        case fail(String)
    }

    package mutating func received(answer message: CLCMessage, to accept: Accept) -> OnAnswer {
        self.state = .over
        switch message {
        case .confirm(let confirm):
            guard confirm.body.isRDMA == accept.body.isRDMA, confirm.version == accept.version else {
                return .fail("its CLC Confirm is of another kind than our Accept")
            }
            guard confirm.isFirstContact == accept.isFirstContact else {
                return .fail("its CLC Confirm contradicts our Accept about the first contact")
            }
            if let diagnosis = Self.objection(to: confirm, accept) {
                let path: DecisionRecord.PathKind = accept.body.isRDMA ? .rdma : .sharedMemory
                self.offer.record.refuse(
                    path, FallbackReason(.versionMismatch, "the peer's CLC Confirm does not repeat what was agreed"))
                var decline = self.offer.decline()
                decline.diagnosis = diagnosis
                return .decline(decline)
            }
            return .join(confirm.body)
        case .decline(let decline):
            self.offer.note(decline)
            return .useTCP(endLinkGroup: decline.isOutOfSync)
        case .proposal, .accept:
            return .fail("it answered our CLC Accept with a \(message.type)")
        }
    }

    /// Release, connections and links must come back as they were sent (PROTOCOL 2.8).
    private static func objection(to confirm: Confirm, _ accept: Accept) -> DeclineDiagnosis? {
        guard let ours = accept.firstContactExtension else { return nil }
        guard let theirs = confirm.firstContactExtension, theirs.release == ours.release else {
            return .releaseNegotiationFailed
        }
        guard accept.body.isRDMA, ours.release > 0 else { return nil }
        guard theirs.maxConnections == ours.maxConnections else { return .maxConnectionsNegotiationFailed }
        return theirs.maxLinks == ours.maxLinks ? nil : .maxLinksNegotiationFailed
    }

    /// The message that sends the client to TCP.
    package mutating func decline() -> Decline {
        self.state = .over
        return self.offer.decline()
    }
}

/// Who is at the other end of a link group: the key by which one is found again (PROTOCOL 2.9).
package struct RemoteHost: Hashable, Sendable {
    package var peerID: PeerID
    /// Of swift-smc peers: tells their programs apart. 0 for others.
    package var instance: UInt32
    package var gid: GID

    package init(peerID: PeerID, instance: UInt32, gid: GID) {
        self.peerID = peerID
        self.instance = instance
        self.gid = gid
    }
}
