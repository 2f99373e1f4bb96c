package import SMCWire

/// The connecting side of CLC (RFC 7609, 3.5; PROTOCOL 2), up to the point where memory or a link is joined.
package struct ClientHandshake: Hashable, Sendable {
    private enum State: Hashable {
        /// Nothing was said.
        case idle
        /// The Proposal is sent; an Accept or a Decline must follow.
        case proposed
        /// The Accept is being carried out.
        case accepted(Accept)
        case over
    }
    private var state = State.idle
    /// What we can use; its record collects why not more.
    package private(set) var offer: LocalOffer

    package init(offer: LocalOffer) {
        self.offer = offer
    }

    /// The first message, when the TCP connection stands.
    package enum OnConnected: Hashable {
        /// Send it and wait for the answer.
        case propose(Proposal)
        /// Send it and go on with TCP: we have nothing to propose.
        case decline(Decline)
    }

    package mutating func connected() -> OnConnected {
        guard !self.offer.isEmpty else {
            self.state = .over
            return .decline(self.offer.decline())
        }
        self.state = .proposed
        return .propose(self.proposal())
    }

    private func proposal() -> Proposal {
        let sharedMemory = self.offer.sharedMemory.map { place in
            SMCDV2Extension(
                seid: place.systemEID,
                devices: place.addresses.map { DMBDevice(gid: $0, channel: HandshakeConstants.channel) })
        }
        let v2Extension = ProposalV2Extension(
            eids: self.offer.rdma?.userEIDs ?? [], release: HandshakeConstants.release,
            isSEIDEnabled: sharedMemory != nil, roceGID: self.offer.rdma?.gid ?? .zero,
            maxConnections: HandshakeConstants.maxConnections, maxLinks: HandshakeConstants.maxLinks,
            featureMask: .emulatedISM, smcd: sharedMemory)
        return Proposal(
            modesV2: SMCModes(rdma: self.offer.rdma != nil, dmb: sharedMemory != nil), peerID: self.offer.peerID,
            macAddress: self.offer.rdma?.macAddress ?? .zero, vendorOUI: HandshakeConstants.vendorOUI,
            vendorOptions: HandshakeConstants.vendorOptions(instance: self.offer.instance), v2Extension: v2Extension)
    }

    /// What to do with the listener's answer.
    package enum OnAnswer: Hashable {
        /// Accept the SMB at our hypervisor, prove that its memory is common, then send what ``confirm(with:)`` gives.
        case joinSharedMemory(DMBEndpoint)
        /// Make the link (first contact) or find it, then send what ``confirm(with:)`` gives.
        case joinLink(RDMAEndpoint, isFirstContact: Bool)
        /// Go on with TCP.
        case useTCP
        /// Send the Decline and go on with TCP.
        case decline(Decline)
        /// Close the connection: the peer broke the protocol.
        case fail(String)
    }

    package mutating func received(_ message: CLCMessage) -> OnAnswer {
        guard case .proposed = self.state else {
            return self.fail("a CLC \(message.type) came when none was due")
        }
        switch message {
        case .accept(let accept): return self.received(accept)
        case .decline(let decline):
            self.state = .over
            self.offer.note(decline)
            return .useTCP
        case .proposal, .confirm:
            return self.fail("it answered our CLC Proposal with a \(message.type)")
        }
    }

    private mutating func received(_ accept: Accept) -> OnAnswer {
        guard accept.version == .two else {
            return self.giveUp(.rdma, FallbackReason(.versionMismatch, "the peer accepted with SMC version 1"))
        }
        self.state = .accepted(accept)
        switch accept.body {
        case .dmb(let endpoint):
            guard self.offer.sharedMemory != nil, endpoint.channel == HandshakeConstants.channel else {
                return self.giveUp(
                    .sharedMemory,
                    FallbackReason(.versionMismatch, "the peer accepted shared memory that was not offered"))
            }
            return .joinSharedMemory(endpoint)
        case .rdma(let endpoint):
            guard let rdma = self.offer.rdma else {
                return self.giveUp(
                    .rdma, FallbackReason(.versionMismatch, "the peer accepted RDMA that was not offered"))
            }
            if self.offer.sharedMemory != nil {
                self.offer.record.refuse(
                    .sharedMemory, FallbackReason(.differentCEC, "the peer found no common CEC with us"))
            }
            guard let eid = accept.negotiatedEID, rdma.userEIDs.contains(eid) else {
                return self.giveUp(.rdma, FallbackReason(.noCommonUEID, "the peer chose a UEID that is not ours"))
            }
            if let reason = self.objection(to: accept.firstContactExtension, accept.isFirstContact) {
                return self.giveUp(.rdma, reason)
            }
            return .joinLink(endpoint, isFirstContact: accept.isFirstContact)
        }
    }

    private func objection(to terms: FirstContactExtension?, _ isFirstContact: Bool) -> FallbackReason? {
        guard isFirstContact else { return nil }
        guard let terms else { return FallbackReason(.versionMismatch, "the first contact lacks its extension") }
        guard terms.release <= HandshakeConstants.release else {
            return FallbackReason(.versionMismatch, "the peer chose release \(terms.release), we speak 1")
        }
        guard terms.release == 0 || terms.maxConnections >= 16 else {
            return FallbackReason(
                .versionMismatch, "the peer allows \(terms.maxConnections) connections, 16 is the least")
        }
        guard terms.release == 0 || (1...2).contains(terms.maxLinks) else {
            return FallbackReason(.versionMismatch, "the peer wants \(terms.maxLinks) links, 1 or 2 may be")
        }
        return nil
    }

    /// The answer to the Accept, with our own buffer.
    package mutating func confirm(with body: CLCBody) -> Confirm {
        guard case .accepted(let accept) = self.state else { preconditionFailure("nothing was accepted") }
        self.state = .over
        var gids: [GID] = []
        if case .rdma(let endpoint) = body, accept.isFirstContact { gids = [endpoint.gid] }
        var terms: FirstContactExtension?
        if accept.isFirstContact, let theirs = accept.firstContactExtension {
            // Release, connections and links must be repeated exactly.
            terms = self.offer.firstContact(
                release: theirs.release, maxConnections: theirs.maxConnections, maxLinks: theirs.maxLinks,
                isRDMA: accept.body.isRDMA)
            terms?.isV2Direct = theirs.isV2Direct
        }
        return Confirm(
            body: body, negotiatedEID: accept.negotiatedEID ?? .zero, firstContactExtension: terms, gids: gids)
    }

    /// Joining failed: gives the Decline to send before going on with TCP.
    package mutating func couldNotJoin(
        _ path: DecisionRecord.PathKind, _ reason: FallbackReason, isOutOfSync: Bool = false
    ) -> Decline {
        self.state = .over
        self.offer.record.refuse(path, reason)
        var decline = self.offer.decline(isOutOfSync: isOutOfSync)
        if !isOutOfSync { decline.diagnosis = reason.diagnosis(for: path) }
        return decline
    }

    /// The peer declined after our Confirm.
    package mutating func received(lateDecline decline: Decline) {
        self.state = .over
        self.offer.note(decline)
    }

    private mutating func giveUp(_ path: DecisionRecord.PathKind, _ reason: FallbackReason) -> OnAnswer {
        .decline(self.couldNotJoin(path, reason))
    }

    private mutating func fail(_ what: String) -> OnAnswer {
        self.state = .over
        return .fail(what)
    }
}

extension CLCBody {
    /// Whether this is an SMC-R body.
    package var isRDMA: Bool {
        if case .rdma = self { return true }
        return false
    }
}
