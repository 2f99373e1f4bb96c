internal import SMCControl
internal import SMCMemory
internal import SMCProtocol
package import SMCSystem
internal import SMCWire

/// Why no connection came about at all.
package enum ConnectError: Error, Sendable {
    case unknownHost(NameResolutionError)
    /// Nobody listens there, or the host cannot be reached.
    case cannotConnect(SocketAddress, TransportError)
    /// TCP stands, but what followed made no sense or came too late.
    case handshake(SocketAddress, TransportError)
}

extension ConnectError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownHost(let error): "\(error); check its spelling, or give its address"
        case .cannotConnect(let address, .timedOut):
            "cannot connect to \(address): no answer in time; check the address, and that no firewall is between"
        case .cannotConnect(let address, .system(let error)) where error.errno == Errno.connectionRefused:
            "cannot connect to \(address): nobody listens there; start the listener first"
        case .cannotConnect(let address, let error): "cannot connect to \(address): \(error)"
        case .handshake(let address, let error): "the handshake with \(address) failed: \(error.inHandshake)"
        }
    }
}

extension PartitionRuntime {
    /// Connects to a host by name or address; tries its addresses in order.
    package func connect(host: String, port: UInt16) async throws(ConnectError) -> StreamConnection {
        let addresses: [SocketAddress]
        do throws(NameResolutionError) {
            addresses = try await self.resolve(host: host, port: port)
        } catch {
            throw .unknownHost(error)
        }
        var failure = ConnectError.unknownHost(NameResolutionError(host: host, reason: "it has no address"))
        for address in addresses {
            do throws(ConnectError) {
                return try await self.connect(to: address)
            } catch {
                failure = error
                // A peer that answered will not answer better under another of its addresses.
                guard case .cannotConnect(_, let cause) = error, cause != .cancelled else { throw error }
            }
        }
        throw failure
    }

    /// The connecting side of a connection's life (Docs/Architecture.md): TCP, CLC, and whatever path comes of it.
    package func connect(to address: SocketAddress) async throws(ConnectError) -> StreamConnection {
        let speaksSMC = self.configuration.paths.contains(.sharedMemory) || self.configuration.paths.contains(.rdma)
        // Before TCP: the Proposal follows at once, and no listener takes us for a plain TCP client.
        var gathered = speaksSMC ? await self.gather(from: nil, to: address) : nil
        let deadline = ContinuousClock.now.advanced(by: self.configuration.handshakeTimeout)
        let channel: TCPChannel
        do throws(TransportError) {
            channel = try await self.openTCP(to: address, until: deadline)
        } catch {
            throw .cannotConnect(address, error)
        }
        // TCP has found the peer's link address meanwhile, which may have taken longer than we waited for it.
        if gathered?.hasUnansweredRoute == true {
            gathered = await self.gather(from: try? channel.socket.localAddress(), to: address)
        }
        guard let gathered else { return self.plain(channel) }
        do throws(TransportError) {
            return try await self.shakeHands(gathered, channel, until: deadline)
        } catch {
            throw .handshake(address, error)
        }
    }

    private func openTCP(
        to address: SocketAddress, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> TCPChannel {
        let channel: TCPChannel
        do throws(SystemCallError) {
            channel = TCPChannel(try TCPSocket.startConnecting(to: address), to: address, loop: self.loop)
            try channel.start()
        } catch {
            throw .system(error)
        }
        try await channel.finishConnecting(until: deadline)
        channel.socket.tune(deadPeerLimit: self.configuration.deadPeerLimit)
        return channel
    }

    private func plain(_ channel: TCPChannel) -> StreamConnection {
        var record = DecisionRecord()
        let reason = FallbackReason(.notOffered, "only TCP is among the paths that we allow")
        record.refuse(.sharedMemory, reason)
        record.refuse(.rdma, reason)
        record.path = .tcp
        return self.establishTCP(record, channel)
    }

    private func shakeHands(
        _ gathered: Gathered, _ channel: TCPChannel, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamConnection {
        var handshake = ClientHandshake(offer: gathered.offer)
        switch handshake.connected() {
        case .decline(let decline):
            try await channel.send(.decline(decline), until: deadline)
            return self.fallBack(handshake.offer.record, channel)
        case .propose(let proposal):
            try await channel.send(.proposal(proposal), until: deadline)
        }
        let answer = try await channel.receiveCLC(until: deadline)
        switch handshake.received(answer) {
        case .useTCP: return self.fallBack(handshake.offer.record, channel)
        case .fail(let what): throw .protocolViolation(what)
        case .decline(let decline):
            try await channel.send(.decline(decline), until: deadline)
            return self.fallBack(handshake.offer.record, channel)
        case .joinSharedMemory(let endpoint):
            return try await self.joinSharedMemory(endpoint, answer, &handshake, channel, until: deadline)
        case .joinLink(let endpoint, let isFirstContact):
            guard let route = gathered.route else { preconditionFailure("RDMA was offered without a route") }
            let join = LinkJoin(runtime: self, channel: channel, route: route, deadline: deadline)
            return try await join.run(endpoint, isFirstContact, answer, &handshake)
        }
    }

    /// The TCP connection carries the bytes.
    func fallBack(
        _ record: DecisionRecord, _ channel: TCPChannel, latecomer: LatecomerFilter? = nil
    ) -> StreamConnection {
        var record = record
        record.path = .tcp
        return self.establishTCP(record, channel, latecomer: latecomer)
    }

    private func establishTCP(
        _ record: DecisionRecord, _ channel: TCPChannel, latecomer: LatecomerFilter? = nil
    ) -> StreamConnection {
        let transport = TCPTransport(
            channel, deadPeerLimit: self.configuration.deadPeerLimit, latecomer: latecomer)
        return self.establish(.tcp(transport), record, channel, peerHostName: nil)
    }

    // MARK: Shared memory, client

    private func joinSharedMemory(
        _ endpoint: DMBEndpoint, _ answer: CLCMessage, _ handshake: inout ClientHandshake, _ channel: TCPChannel,
        until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamConnection {
        let partition = self.sharedMemory
        var accepted: SharedMemoryPartition.Accepted?
        var offered: SharedMemoryPartition.Offered?
        do throws(FallbackReason) {
            let common = try await partition.findCommon([endpoint.gid])
            let theirs = try await partition.accept(
                OfferToken(rawValue: endpoint.dmbToken), from: endpoint.gid, to: common.ours)
            accepted = theirs
            try theirs.element.checkProof()
            theirs.element.respond(theirs.element.challenge.expectedResponse)
            offered = try await partition.offer(to: endpoint.gid, from: common.ours)
        } catch {
            if let accepted {
                partition.release(accepted)
            } else {
                partition.reject(OfferToken(rawValue: endpoint.dmbToken), from: endpoint.gid)
            }
            let decline = handshake.couldNotJoin(.sharedMemory, error)
            try await channel.send(.decline(decline), until: deadline)
            return self.fallBack(handshake.offer.record, channel)
        }
        guard let accepted, let offered else { preconditionFailure("both were set above") }
        let proof = WaitPoint()
        offered.whenSignalled { proof.wake() }
        do throws(TransportError) {
            let body = CLCBody.dmb(offered.endpoint(linkID: handshake.offer.instance))
            try await channel.send(.confirm(handshake.confirm(with: body)), until: deadline)
            let isProven = try await self.awaitProof(of: offered, proof, channel, &handshake, until: deadline)
            guard isProven else {
                partition.release(accepted)
                partition.release(offered)
                return self.fallBack(handshake.offer.record, channel)
            }
        } catch {
            partition.release(accepted)
            partition.release(offered)
            throw error
        }
        var record = handshake.offer.record
        record.path = .sharedMemory
        return self.establish(
            .element(partition.makeTransport(offered, accepted)), record, channel, peerHostName: answer.hostName)
    }

    /// Waits until the listener has answered our challenge in our own memory, or declines on TCP.
    ///
    /// - Returns: false when it declined.
    private func awaitProof(
        of offered: SharedMemoryPartition.Offered, _ proof: WaitPoint, _ channel: TCPChannel,
        _ handshake: inout ClientHandshake, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> Bool {
        channel.alsoWake(proof)
        defer { channel.alsoWake(nil) }
        while true {
            let ticket = proof.ticket()
            if offered.element.response == offered.challenge.expectedResponse { return true }
            let waiting: [UInt8]?
            do throws(SystemCallError) {
                waiting = try channel.socket.peek(1)
            } catch {
                throw .system(error)
            }
            if waiting != nil {
                guard case .decline(let decline) = try await channel.receiveCLC(until: deadline) else {
                    throw .protocolViolation("it sent a CLC message when only a Decline could come")
                }
                handshake.received(lateDecline: decline)
                return false
            }
            guard channel.prepareToRead() != nil else { continue }
            guard await proof.wait(since: ticket, until: deadline, on: self.loop) else { throw .timedOut }
            if Task.isCancelled { throw .cancelled }
        }
    }
}

extension TransportError {
    /// The error as it is told when it ends a handshake.
    package var inHandshake: String {
        switch self {
        case .timedOut: "the peer did not go on in time; is SMC spoken there?"
        default: "\(self)"
        }
    }
}

extension CLCMessage {
    /// What the sender calls its host, if it says so.
    var hostName: String? {
        switch self {
        case .accept(let accept): accept.firstContactExtension?.hostName.text
        case .confirm(let confirm): confirm.firstContactExtension?.hostName.text
        case .proposal, .decline: nil
        }
    }
}
