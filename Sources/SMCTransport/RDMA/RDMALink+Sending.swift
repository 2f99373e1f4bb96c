internal import SMCMemory
internal import SMCProtocol
internal import SMCSystem
internal import SMCVerbs
internal import SMCWire

// All of this runs under the link's lock, on whatever thread has something to send.
extension RDMALink {
    /// Queues an LLC message and sends what fits.
    ///
    /// - Returns: why the link is broken, if it is.
    @discardableResult
    func enqueue(_ message: LLCMessage, _ state: inout State) -> String? {
        state.llcQueue.append(message.encoded())
        return self.flush(&state)
    }

    /// Sends as much of what waits as there are free slots. LLC goes first: others wait for its answers.
    ///
    /// - Returns: why the link is broken, if it is.
    func flush(_ state: inout State) -> String? {
        guard let resources = state.resources, resources.queuePair.state == .readyToSend else { return nil }
        do {
            if let failure = try Self.takeSent(&state, resources) { return failure }
            while !state.llcQueue.isEmpty, let slot = state.freeSlots.popLast() {
                try self.sendLLC(state.llcQueue.removeFirst(), slot, resources)
                state.slotOwners[slot] = nil
            }
            while let token = state.queue.first, let slot = state.freeSlots.last {
                state.queue.removeFirst()
                guard var outgoing = state.outgoing[token] else { continue }
                outgoing.isQueued = false
                if outgoing.isDirty {
                    _ = state.freeSlots.popLast()
                    try self.sendCDC(&outgoing, slot, resources)
                    state.slotOwners[slot] = token
                }
                state.outgoing[token] = outgoing
            }
            guard state.freeSlots.isEmpty, !state.queue.isEmpty || !state.llcQueue.isEmpty else { return nil }
            // The event loop comes back when a slot is free. What completed before arming does not ring.
            try resources.sendQueue.arm()
            return try Self.takeSent(&state, resources) ?? (state.freeSlots.isEmpty ? nil : self.flush(&state))
        } catch {
            return "\(error)"
        }
    }

    /// Takes back the slots of messages that have arrived.
    ///
    /// - Returns: why the link is broken, if it is.
    private static func takeSent(_ state: inout State, _ resources: Resources) throws -> String? {
        var failure: String?
        var freed: [Int] = []
        while true {
            let count = try resources.sendQueue.poll { completion in
                if completion.status == .success {
                    freed.append(Int(completion.id))
                } else if failure == nil {
                    failure = "the RDMA link failed: \(completion.status)"
                }
            }
            if count == 0 { break }
        }
        for slot in freed {
            state.freeSlots.append(slot)
            if let owner = state.slotOwners[slot].take() { state.outgoing[owner]?.inFlight -= 1 }
        }
        return failure
    }

    private func sendLLC(_ bytes: [UInt8], _ slot: Int, _ resources: Resources) throws {
        self.messageMemory.write(bytes, at: slot * Sizes.slotByteCount)
        let segment = resources.messages.segment(at: slot * Sizes.slotByteCount, byteCount: bytes.count)
        try resources.queuePair.post(SendRequest(id: UInt64(slot), .send, segment, flags: [.signaled, .solicited]))
    }

    /// Writes what is new in the image of the peer's ring, then says so: the order on the queue pair is the order in
    /// which the peer sees it.
    private func sendCDC(
        _ outgoing: inout RDMAMedium.Outgoing, _ slot: Int, _ resources: Resources
    ) throws {
        let medium = outgoing.medium
        let size = medium.target.ringByteCount
        outgoing.sequence &+= 1
        let message = CDCMessage(
            sequence: outgoing.sequence, alertToken: medium.target.alertToken,
            producerCursor: WireCursor(position: outgoing.produced, elementSize: size),
            consumerCursor: WireCursor(
                position: outgoing.consumed, elementSize: medium.own.buffers.ringByteCount),
            producerFlags: outgoing.isBlocked ? .writeBlocked : [], stateFlags: outgoing.flags)
        self.messageMemory.write(message.encoded(), at: slot * Sizes.slotByteCount)
        let send = SendRequest(
            id: UInt64(slot), .send,
            resources.messages.segment(at: slot * Sizes.slotByteCount, byteCount: CDCMessage.byteCount),
            flags: [.signaled, .solicited])

        let count = Int(outgoing.produced &- outgoing.written)
        let offset = Int(truncatingIfNeeded: outgoing.written) & (size - 1)
        let first = min(count, size - offset)
        let queuePair = resources.queuePair
        if count == 0 {
            try queuePair.post(send)
        } else if count == first {
            let chain: InlineArray<2, SendRequest> = [try self.write(medium, offset, first), send]
            try queuePair.post(chain.span)
        } else {
            let chain: InlineArray<3, SendRequest> = [
                try self.write(medium, offset, first), try self.write(medium, 0, count - first), send,
            ]
            try queuePair.post(chain.span)
        }
        outgoing.written = outgoing.produced
        outgoing.credit.didConfirm(outgoing.consumed)
        outgoing.isDirty = false
        outgoing.inFlight += 1
    }

    private func write(_ medium: RDMAMedium, _ offset: Int, _ count: Int) throws -> SendRequest {
        guard let segment = medium.image.buffers.segment(at: medium.image.offset + offset, byteCount: count) else {
            throw TransportError.peerGone("the RDMA device is gone")
        }
        let remote = RemoteAddress(
            address: medium.target.remote.address &+ UInt64(offset), key: medium.target.remote.key)
        return SendRequest(id: .max, .write(remote), segment)
    }
}
