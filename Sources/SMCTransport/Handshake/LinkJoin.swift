internal import SMCProtocol
internal import SMCSystem
internal import SMCVerbs
internal import SMCWire

/// The connecting side's part of joining a link: making it at the first contact, finding it later (PROTOCOL 2.9).
struct LinkJoin {
    let runtime: PartitionRuntime
    let channel: TCPChannel
    let route: RDMARoute
    let deadline: ContinuousClock.Instant

    func run(
        _ endpoint: RDMAEndpoint, _ isFirstContact: Bool, _ answer: CLCMessage, _ handshake: inout ClientHandshake
    ) async throws(TransportError) -> StreamConnection {
        let group: LinkGroup
        do throws(FallbackReason) {
            group = isFirstContact ? try await self.makeGroup(endpoint) : try self.findGroup(endpoint)
        } catch {
            return try await self.decline(error, &handshake, isOutOfSync: error.code == .synchronization)
        }
        var undo: () -> Void = {}
        do throws(FallbackReason) {
            let reserved = try await group.reserve(announces: !isFirstContact, until: self.deadline)
            undo = { group.cancel(reserved) }
            let transport = try await group.join(reserved, to: endpoint)
            undo = { group.release(reserved, transport) }
            transport.onRelease { [weak transport] in
                if let transport { group.release(reserved, transport) }
            }
            let body = CLCBody.rdma(reserved.endpoint(group, self.runtime))
            try await self.sendConfirm(body, &handshake)
            if isFirstContact {
                try await self.awaitActivation(group, &handshake)
                self.runtime.rdma.add(group)
            }
            var record = handshake.offer.record
            record.path = .rdma
            return self.runtime.establish(
                .element(transport), record, self.channel, peerHostName: answer.hostName)
        } catch {
            // Also at the first contact: connection and group would keep each other, and the device, for ever.
            undo()
            if isFirstContact { self.runtime.rdma.drop(group, error.detail) }
            if error.code == .peerDeclined { return self.runtime.fallBack(handshake.offer.record, self.channel) }
            return try await self.decline(error, &handshake)
        }
    }

    private func decline(
        _ reason: FallbackReason, _ handshake: inout ClientHandshake, isOutOfSync: Bool = false
    ) async throws(TransportError) -> StreamConnection {
        let decline = handshake.couldNotJoin(.rdma, reason, isOutOfSync: isOutOfSync)
        try await self.channel.send(.decline(decline), until: self.deadline.advanced(by: .seconds(1)))
        return self.runtime.fallBack(handshake.offer.record, self.channel)
    }

    private func sendConfirm(_ body: CLCBody, _ handshake: inout ClientHandshake) async throws(FallbackReason) {
        do throws(TransportError) {
            try await self.channel.send(.confirm(handshake.confirm(with: body)), until: self.deadline)
        } catch {
            throw FallbackReason(.linkFailed, "sending the CLC Confirm failed: \(error)")
        }
    }

    private func findGroup(_ endpoint: RDMAEndpoint) throws(FallbackReason) -> LinkGroup {
        let group = self.runtime.rdma.clientGroup(
            peerGID: endpoint.gid, queuePairNumber: endpoint.queuePairNumber)
        guard let group else {
            throw FallbackReason(.synchronization, "the peer means a link group that does not exist here (any more)")
        }
        return group
    }

    /// The queue pair must take messages in before the Confirm goes out (trap T7).
    private func makeGroup(_ endpoint: RDMAEndpoint) async throws(FallbackReason) -> LinkGroup {
        let group = try await self.runtime.rdma.makeGroup(
            role: .client, peer: RemoteHost(peerID: endpoint.peerID, instance: 0, gid: endpoint.gid),
            route: self.route, maxConnections: HandshakeConstants.maxConnections,
            remoteQueuePairNumber: endpoint.queuePairNumber)
        let mtu = min(endpoint.mtu, group.link.end.mtu)
        do throws(FallbackReason) {
            try await self.runtime.rdma.onWorker { try group.link.connect(to: endpoint, mtu: mtu) }
        } catch {
            self.runtime.rdma.drop(group, error.detail)
            throw error
        }
        return group
    }

    /// Waits for the server's Confirm Link; a server that could not bring its end up sends a Decline on TCP instead.
    private func awaitActivation(_ group: LinkGroup, _ handshake: inout ClientHandshake) async throws(FallbackReason) {
        self.channel.alsoWake(group.link.changes)
        defer { self.channel.alsoWake(nil) }
        _ = self.channel.prepareToRead()
        let limit = min(self.deadline, .now.advanced(by: RDMALimits.llcTimeout))
        let channel = self.channel
        do throws(TransportError) {
            try await group.link.waitUntilActive(until: limit) { channel.hasSomethingToRead }
            return
        } catch .interrupted {
        } catch {
            throw FallbackReason(
                .linkFailed, "no Confirm Link came over the new RDMA link: \(error)")
        }
        guard let message = try? await self.channel.receiveCLC(until: self.deadline),
            case .decline(let decline) = message
        else { throw FallbackReason(.linkFailed, "the peer broke off while the RDMA link was set up") }
        handshake.received(lateDecline: decline)
        throw FallbackReason(.peerDeclined, "the peer declined while the RDMA link was set up")
    }
}

extension LinkGroup.Reservation {
    /// Our end in the words of CLC.
    func endpoint(_ group: LinkGroup, _ runtime: PartitionRuntime) -> RDMAEndpoint {
        let end = group.link.end
        guard let size = CompressedSize(holding: self.slot.buffers.ringByteCount) else {
            preconditionFailure("rings are powers of two from 16 KiB to 512 MiB")
        }
        return RDMAEndpoint(
            peerID: runtime.rdma.peerID(on: end), gid: end.gid, macAddress: end.macAddress,
            queuePairNumber: group.link.queuePairNumber,
            rkey: self.buffer.key, elementIndex: UInt8(self.slot.index + 1), alertToken: self.alertToken,
            elementSize: size, mtu: end.mtu, address: self.buffer.address, initialPSN: group.link.initialPSN)
    }
}
