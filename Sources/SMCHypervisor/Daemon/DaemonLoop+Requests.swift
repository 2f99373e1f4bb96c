internal import Logging
internal import SMCMemory
internal import SMCSystem
internal import SMCWire

/// From a packet to its answer.
extension DaemonLoop {
    /// Answers one packet. Whoever sends anything but a request is refused, and its session ends.
    func take(
        _ packet: [UInt8], isTruncated: Bool, _ descriptors: consuming ForeignDescriptors, _ session: DaemonSession
    ) {
        let key = session.caller.rawValue
        guard !packet.isEmpty else { return self.end(key, "closed by the partition") }
        let header: ControlHeader
        let request: ControlRequest
        do throws(ControlWireError) {
            header = try ControlHeader(decoding: packet)
            guard !isTruncated else { throw .invalidField("descriptor") }
            request = try ControlRequest(decoding: packet, header: header)
            guard descriptors.count == request.descriptorCount else { throw .invalidField("descriptor") }
        } catch {
            self.logger.warning("a session broke the protocol: \(error)", metadata: Self.metadata(session))
            let code: HypervisorRefusal
            if case .unsupportedVersion = error { code = .unsupportedVersion } else { code = .malformed }
            self.administration.note("request", session, code, error.description)
            _ = self.answer(.refused(code, error.description), requestID: Self.requestID(packet), [], session)
            return self.end(key, "protocol violation")
        }
        guard session.isAllowed else {
            self.logger.warning("a user was refused", metadata: Self.metadata(session))
            let text = "This hypervisor does not serve user \(session.credentials.userID), only its own user and root."
            self.administration.note(request.audited.action.rawValue, session, .notAuthorized, text)
            _ = self.answer(.refused(.notAuthorized, text), requestID: header.requestID, [], session)
            return self.end(key, "not allowed")
        }
        self.greet(session)
        self.perform(request, descriptors, requestID: header.requestID, session)
    }

    /// The place of the request identifier is the same in all versions.
    private static func requestID(_ packet: [UInt8]) -> UInt32 {
        guard packet.count >= ControlHeader.byteCount else { return 0 }
        return packet[8..<12].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func perform(
        _ request: ControlRequest, _ descriptors: consuming ForeignDescriptors, requestID: UInt32,
        _ session: DaemonSession
    ) {
        let key = session.caller.rawValue
        guard self.prepare(for: request) else {
            let refusal = ControlResponse.refused(.outOfResources, HypervisorRefusal.outOfResources.sentence)
            self.administration.note(request.audited.action.rawValue, session, .outOfResources)
            guard self.answer(refusal, requestID: requestID, [], session) else { return self.end(key, "unreachable") }
            return
        }
        var outcome: Outcome
        if case .reregister(let registration) = request {
            outcome = self.reregister(registration, descriptors, session)
        } else {
            outcome = self.hypervisor.perform(.request(request), by: session.caller)
        }
        if case .refused(let code, _) = outcome.response, code == .poolExhausted || code == .quotaExceeded,
            request.descriptorCount == 0
        {
            // Perhaps what is needed is only waiting to be zeroed.
            self.blocks.retryLent()
            self.reclaim(byteLimit: .max)
            outcome = self.hypervisor.perform(.insist(request), by: session.caller)
        }
        self.log(request, outcome.response, session)
        self.administration.record(outcome.records)
        if outcome.effects.contains(.readSettings) { return self.readSettings(for: session, requestID) }
        if self.postpone(outcome, requestID: requestID, session) { return }
        guard let attachments = self.carryOut(outcome.effects) else {
            return self.end(key, "no descriptors left to answer it")
        }
        let response = attachments.response ?? outcome.response
        guard self.answer(response, requestID: requestID, attachments.numbers, session) else {
            return self.end(key, "it does not read its answers, or is gone")
        }
    }

    private func log(_ request: ControlRequest, _ response: ControlResponse, _ session: DaemonSession) {
        switch (request, response) {
        case (.join(let name, _), .joined(let membership)):
            let addresses = membership.addresses.map { "\($0.vlan)=\($0.smgid)" }.joined(separator: " ")
            self.logger.info("partition \(name) joined: \(addresses)", metadata: Self.metadata(session))
        case (_, .refused(let code, let text)):
            let level: Logger.Level = code == .badToken || code == .poolExhausted ? .warning : .info
            self.logger.log(level: level, "refused: \(text)", metadata: Self.metadata(session))
        default: break
        }
    }

    /// - Returns: false when the session cannot be answered. Its socket is empty whenever it keeps to one request at a
    ///   time, so then it does not.
    func answer(
        _ response: ControlResponse, requestID: UInt32, _ descriptors: [Int32], _ session: DaemonSession
    ) -> Bool {
        do throws(SystemCallError) {
            try session.link.socket.send(response.encoded(requestID: requestID), descriptors: descriptors)
            return true
        } catch {
            return false
        }
    }

    // MARK: Effects

    /// Descriptors that go with an answer, kept open until it is sent.
    struct Attachments: ~Copyable {
        fileprivate(set) var numbers: [Int32] = []
        /// Those of ``numbers`` that are closed here.
        fileprivate var lent: [Int32] = []
        /// Holds the rest of them.
        fileprivate var pairs: [PairFiles] = []
        /// The answer itself, where an effect makes it.
        fileprivate var response: ControlResponse?

        deinit {
            for number in self.lent {
                _ = OwnedDescriptor(adopting: number)
            }
        }
    }

    /// What a request needs of the system is there before its decision is taken, for that cannot be taken back.
    private func prepare(for request: ControlRequest) -> Bool {
        switch request {
        case .bind: self.prepareForBinding() && self.prepareSpareDescriptor()
        case .createSMB, .accept, .unbindOwner, .renew: self.prepareSpareDescriptor()
        default: true
        }
    }

    private func prepareForBinding() -> Bool {
        do throws(SystemCallError) {
            if self.sparePair == nil { self.sparePair = try PairFiles() }
            return true
        } catch {
            self.logger.error("no status bit arrays can be made: \(error)")
            return false
        }
    }

    /// - Returns: nil when a descriptor could not be made.
    func carryOut(_ effects: [Effect]) -> Attachments? {
        var attachments = Attachments()
        for effect in effects {
            switch effect {
            case .createPair(let id):
                self.pairs[id] = self.sparePair  // Was made before the instruction.
                self.sparePair = nil
            case .sendBlock(let block):
                self.useSpareDescriptor()
                do throws(SystemCallError) {
                    let number = try self.blocks.lend(block).release()
                    attachments.numbers.append(number)
                    attachments.lent.append(number)
                } catch {
                    self.logger.error("a block cannot be lent: \(error)")
                    return nil
                }
            case .sendPair(let id, let incoming, let outgoing):
                guard let pair = self.pairs[id] else { return nil }
                attachments.numbers.append(contentsOf: pair.descriptors(incoming: incoming, outgoing: outgoing))
                attachments.pairs.append(pair)
            case .markGone(let id): self.pairs[id]?.markGone(isRevoked: false)
            case .markRevoked(let id): self.pairs[id]?.markGone(isRevoked: true)
            case .dropPair(let id): self.pairs[id] = nil
            case .notify(let id, let direction, let bit): self.pairs[id]?.notify(direction, bit: bit)
            case .reclaim(let block): self.blocks.reclaim(block)
            case .keepAdopted(let id): self.adopted[id] = self.shown.take()
            case .dropAdopted(let id): self.adopted[id] = nil
            case .readSettings: break  // Answered later: see ``readSettings(for:_:)``.
            case .makeBlocks: break  // Answered later: see ``postpone(_:requestID:_:)``.
            case .dropBlocks(let blocks): self.blocks.remove(blocks)
            case .takeStatusBits(let id, let directions):
                attachments.response = .statusBits(self.pairs[id]?.takeBits(directions) ?? [])
            case .replace, .read, .write, .compareAndMove:
                guard self.access(effect, &attachments) else { return nil }
            }
        }
        return attachments
    }

    /// Effects on the contents of a block, through a mapping of our own.
    ///
    /// - Returns: false when the block could not be mapped.
    private func access(_ effect: Effect, _ attachments: inout Attachments) -> Bool {
        do throws(SystemCallError) {
            switch effect {
            case .replace(let old, let new):
                try self.blocks.mapping(new).copy(from: try self.blocks.mapping(old))
            case .read(let block, let offset, let byteCount):
                attachments.response = .bytes(try self.blocks.mapping(block).read(byteCount, at: offset))
            case .write(let block, let offset, let bytes): try self.blocks.mapping(block).write(bytes, at: offset)
            case .compareAndMove(let block, let offset, let expected, let desired):
                let mapping = try self.blocks.mapping(block)
                attachments.response = .original(
                    SharedWord.compareExchange(in: mapping, at: offset, expected: expected, desired: desired))
            default: break
            }
            return true
        } catch {
            self.logger.error("a block cannot be mapped: \(error)")
            return false
        }
    }
}
