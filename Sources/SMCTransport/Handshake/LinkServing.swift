internal import SMCProtocol
internal import SMCSystem
internal import SMCVerbs
internal import SMCWire

/// The listening side's part of RDMA: reusing a link group with the client's host, or making one (PROTOCOL 2.9).
struct LinkServing {
    let runtime: PartitionRuntime
    let channel: TCPChannel
    let route: RDMARoute
    let deadline: ContinuousClock.Instant

    typealias Outcome = PartitionRuntime.ServedCandidate

    func run(
        _ terms: ServerHandshake.RDMATerms, _ candidate: ServerHandshake.Candidate, _ handshake: inout ServerHandshake
    ) async throws(TransportError) -> Outcome {
        if let group = self.runtime.rdma.serverGroup(for: terms.peer) {
            return try await self.serve(group, isFirstContact: false, candidate, &handshake)
        }
        var copy = handshake
        defer { handshake = copy }
        let gate = self.runtime.rdma.firstContactGate(for: terms.peer)
        let patience = min(self.deadline, .now.advanced(by: RDMALimits.llcTimeout))
        let outcome = try await gate.alone(until: patience) { () async throws(TransportError) in
            // Somebody else may have made the group while we waited.
            if let group = self.runtime.rdma.serverGroup(for: terms.peer) {
                return try await self.serve(group, isFirstContact: false, candidate, &copy)
            }
            let group: LinkGroup
            do throws(FallbackReason) {
                group = try await self.runtime.rdma.makeGroup(
                    role: .server, peer: terms.peer, route: self.route, maxConnections: terms.maxConnections)
            } catch {
                copy.refuse(.rdma, error)
                return .next
            }
            return try await self.serveFirst(group, candidate, &copy)
        }
        if let outcome { return outcome }
        copy.refuse(
            .rdma, FallbackReason(.linkFailed, "another connection's first contact with this peer takes too long"))
        return .next
    }

    private func serveFirst(
        _ group: LinkGroup, _ candidate: ServerHandshake.Candidate, _ handshake: inout ServerHandshake
    ) async throws(TransportError) -> Outcome {
        do throws(TransportError) {
            let outcome = try await self.serve(group, isFirstContact: true, candidate, &handshake)
            guard case .established = outcome else {
                self.runtime.rdma.drop(group, "the first contact failed")
                return outcome
            }
            return outcome
        } catch {
            self.runtime.rdma.drop(group, "the first contact failed: \(error)")
            throw error
        }
    }

    private func serve(
        _ group: LinkGroup, isFirstContact: Bool, _ candidate: ServerHandshake.Candidate,
        _ handshake: inout ServerHandshake
    ) async throws(TransportError) -> Outcome {
        let reservation: LinkGroup.Reservation
        do throws(FallbackReason) {
            reservation = try await group.reserve(announces: !isFirstContact, until: self.deadline)
        } catch {
            handshake.refuse(.rdma, error)
            return .next
        }
        let body = CLCBody.rdma(reservation.endpoint(group, self.runtime))
        let accept = handshake.accept(candidate, body: body, isFirstContact: isFirstContact)
        let answer: CLCMessage
        do throws(TransportError) {
            try await self.channel.send(.accept(accept), until: self.deadline)
            answer = try await self.channel.receiveCLC(until: self.deadline)
        } catch {
            group.cancel(reservation)
            throw error
        }
        switch handshake.received(answer: answer, to: accept) {
        case .fail(let what):
            group.cancel(reservation)
            throw .protocolViolation(what)
        case .useTCP(let endsLinkGroup):
            group.cancel(reservation)
            if endsLinkGroup { self.runtime.rdma.drop(group, "the peer does not know this link group") }
            return .useTCP
        case .decline(let decline):
            group.cancel(reservation)
            try await self.channel.send(.decline(decline), until: self.deadline)
            return .useTCP
        case .join(let peer):
            guard case .rdma(let endpoint) = peer else { preconditionFailure("the handshake checked the kind") }
            return try await self.join(group, reservation, endpoint, isFirstContact, answer, &handshake)
        }
    }

    private func join(
        _ group: LinkGroup, _ reservation: LinkGroup.Reservation, _ endpoint: RDMAEndpoint, _ isFirstContact: Bool,
        _ answer: CLCMessage, _ handshake: inout ServerHandshake
    ) async throws(TransportError) -> Outcome {
        do throws(FallbackReason) {
            if isFirstContact { try await self.bringUp(group, endpoint) }
            let transport = try await group.join(reservation, to: endpoint)
            transport.onRelease { [weak transport] in
                if let transport { group.release(reservation, transport) }
            }
            if isFirstContact { self.runtime.rdma.add(group) }
            var record = handshake.offer.record
            record.path = .rdma
            return .established(
                self.runtime.establish(.element(transport), record, self.channel, peerHostName: answer.hostName))
        } catch {
            group.cancel(reservation)
            // On a link that exists the client takes its Confirm for the last word, and TCP for silent.
            guard isFirstContact else { throw .peerGone("its connection cannot be carried out: \(error)") }
            handshake.refuse(.rdma, error)
            try await self.channel.send(.decline(handshake.decline()), until: self.deadline.advanced(by: .seconds(1)))
            return .useTCP
        }
    }

    /// Both directions of the queue pair, then the proof that they carry messages.
    private func bringUp(_ group: LinkGroup, _ endpoint: RDMAEndpoint) async throws(FallbackReason) {
        let mtu = min(endpoint.mtu, group.link.end.mtu)
        try await self.runtime.rdma.onWorker {
            try group.link.connect(to: endpoint, mtu: mtu)
            try group.link.startSending()
        }
        do throws(TransportError) {
            try await group.link.confirm(until: min(self.deadline, .now.advanced(by: RDMALimits.llcTimeout)))
        } catch {
            throw FallbackReason(.linkFailed, "Confirm Link was not answered over the new RDMA link: \(error)")
        }
    }
}
