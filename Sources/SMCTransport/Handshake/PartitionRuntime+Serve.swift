internal import SMCControl
internal import SMCMemory
internal import SMCProtocol
package import SMCSystem
internal import SMCVerbs
internal import SMCWire

extension PartitionRuntime {
    /// The listening side of a connection's life (Docs/Architecture.md), for one accepted TCP connection.
    package func serve(_ socket: TCPSocket) async throws(TransportError) -> StreamConnection {
        let channel = TCPChannel(socket, loop: self.loop)
        do throws(SystemCallError) {
            try channel.start()
        } catch {
            throw .system(error)
        }
        socket.tune(deadPeerLimit: self.configuration.deadPeerLimit)
        let deadline = ContinuousClock.now.advanced(by: self.configuration.handshakeTimeout)
        let patience = ContinuousClock.now.advanced(by: self.configuration.firstBytesTimeout)
        let isSilent = await !channel.waitUntilReadable(until: patience)
        if Task.isCancelled { throw .cancelled }
        if isSilent {
            return self.fallBack(
                Self.plainRecord("the client said nothing: it waits for the server to speak"), channel,
                latecomer: LatecomerFilter())
        }
        guard try await self.speaksCLC(channel, until: patience) else {
            return self.fallBack(Self.plainRecord("the client speaks plain TCP"), channel)
        }
        return try await self.shakeHands(channel, until: deadline)
    }

    /// Looks at the first bytes, as many as tell: a plain client may say less than an eye catcher and wait for its answer.
    private func speaksCLC(
        _ channel: TCPChannel, until patience: ContinuousClock.Instant
    ) async throws(TransportError) -> Bool {
        while true {
            let start: [UInt8]
            do throws(SystemCallError) {
                start = try channel.socket.peek(EyeCatcher.byteCount) ?? []
            } catch {
                throw .system(error)
            }
            guard !start.isEmpty, CLCHeader.looksLikeCLC(start) else { return false }
            if start.count == EyeCatcher.byteCount { return true }
            guard ContinuousClock.now < patience, !channel.socket.hasPeerFinished else { return false }
            if Task.isCancelled { throw .cancelled }
            // Readable it is already: look again in a moment.
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    private static func plainRecord(_ detail: String) -> DecisionRecord {
        var record = DecisionRecord()
        record.refuse(.sharedMemory, FallbackReason(.peerWithoutSMC, detail))
        record.refuse(.rdma, FallbackReason(.peerWithoutSMC, detail))
        return record
    }

    private func shakeHands(
        _ channel: TCPChannel, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> StreamConnection {
        let first = try await channel.receiveCLC(until: deadline)
        let local: SocketAddress
        do throws(SystemCallError) {
            local = try channel.socket.localAddress()
        } catch {
            throw .system(error)
        }
        let gathered = await self.gather(from: local, to: channel.peerAddress)
        var handshake = ServerHandshake(offer: gathered.offer)
        switch handshake.received(first: first) {
        case .fail(let what): throw .protocolViolation(what)
        case .useTCP: return self.fallBack(handshake.offer.record, channel)
        case .select(let candidates):
            for candidate in candidates {
                let outcome: ServedCandidate
                switch candidate {
                case .sharedMemory(let addresses):
                    outcome = try await self.serveSharedMemory(addresses, candidate, &handshake, channel, deadline)
                case .rdma(let terms):
                    guard let route = gathered.route else { preconditionFailure("RDMA was offered without a route") }
                    let serving = LinkServing(runtime: self, channel: channel, route: route, deadline: deadline)
                    outcome = try await serving.run(terms, candidate, &handshake)
                }
                switch outcome {
                case .established(let connection): return connection
                case .useTCP: return self.fallBack(handshake.offer.record, channel)
                case .next: continue
                }
            }
        }
        try await channel.send(.decline(handshake.decline()), until: deadline)
        return self.fallBack(handshake.offer.record, channel)
    }

    /// What came of a candidate.
    enum ServedCandidate {
        case established(StreamConnection)
        /// It failed before the client heard of it: try the next one. The record has the reason.
        case next
        /// The client (or we, to the client) declined.
        case useTCP
    }

    // MARK: Shared memory, server

    private func serveSharedMemory(
        _ addresses: [SMGID], _ candidate: ServerHandshake.Candidate, _ handshake: inout ServerHandshake,
        _ channel: TCPChannel, _ deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> ServedCandidate {
        let partition = self.sharedMemory
        let offered: SharedMemoryPartition.Offered
        let peerAddress: SMGID
        do throws(FallbackReason) {
            let common = try await partition.findCommon(addresses)
            peerAddress = common.peer
            offered = try await partition.offer(to: common.peer, from: common.ours)
        } catch {
            handshake.refuse(.sharedMemory, error)
            return .next
        }
        let accept = handshake.accept(
            candidate, body: .dmb(offered.endpoint(linkID: handshake.offer.instance)), isFirstContact: true)
        let answer: CLCMessage
        do throws(TransportError) {
            try await channel.send(.accept(accept), until: deadline)
            answer = try await channel.receiveCLC(until: deadline)
        } catch {
            partition.release(offered)
            throw error
        }
        switch handshake.received(answer: answer, to: accept) {
        case .fail(let what):
            partition.release(offered)
            throw .protocolViolation(what)
        case .useTCP:
            partition.release(offered)
            return .useTCP
        case .decline(let decline):
            partition.release(offered)
            try await channel.send(.decline(decline), until: deadline)
            return .useTCP
        case .join(let body):
            guard case .dmb(let endpoint) = body, endpoint.gid == peerAddress else {
                partition.release(offered)
                throw .protocolViolation("its CLC Confirm names another partition than its Proposal")
            }
            do throws(FallbackReason) {
                let accepted = try await self.prove(offered, endpoint)
                var record = handshake.offer.record
                record.path = .sharedMemory
                let transport = partition.makeTransport(offered, accepted)
                let connection = self.establish(.element(transport), record, channel, peerHostName: answer.hostName)
                // Only now: the client goes on as soon as it sees this.
                accepted.respond()
                return .established(connection)
            } catch {
                partition.release(offered)
                handshake.refuse(.sharedMemory, error)
                try await channel.send(.decline(handshake.decline()), until: deadline)
                return .useTCP
            }
        }
    }

    /// Checks the client's proof in our memory, and accepts its SMB.
    private func prove(
        _ offered: SharedMemoryPartition.Offered, _ endpoint: DMBEndpoint
    ) async throws(FallbackReason) -> SharedMemoryPartition.Accepted {
        guard offered.element.response == offered.challenge.expectedResponse else {
            throw FallbackReason(.memoryNotCommon, "the peer did not answer our challenge through the mapping")
        }
        let accepted = try await self.sharedMemory.accept(
            OfferToken(rawValue: endpoint.dmbToken), from: endpoint.gid, to: offered.address)
        do throws(FallbackReason) {
            try accepted.element.checkProof()
        } catch {
            self.sharedMemory.release(accepted)
            throw error
        }
        return accepted
    }
}
