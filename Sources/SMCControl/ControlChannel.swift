internal import SMCSystem
internal import SMCWire

/// The client's end of the control socket: one request, one answer, each within a deadline. Not for several threads at
/// once; ``HypervisorSession`` puts a lock around it.
struct ControlChannel: ~Copyable, Sendable {
    /// An answer with the descriptors that it said it has.
    struct Reply: ~Copyable, Sendable {
        let response: ControlResponse
        var descriptors: ReceivedDescriptors
    }

    private let socket: UnixSocket
    private var lastRequestID: UInt32 = 0
    /// Why every further call fails.
    private var failure: ControlError?
    /// The request that timed out: its answer is waited for before another request is made, so that the hypervisor
    /// never has two of ours.
    private var abandoned: (requestID: UInt32, request: ControlRequest)?
    /// Requests that take back what late answers gave.
    private var compensations: [ControlRequest] = []

    init(_ socket: consuming UnixSocket) {
        self.socket = socket
    }

    var descriptor: Int32 {
        self.socket.descriptor.rawValue
    }

    /// Sends a request and waits for its answer; a refusal is thrown.
    mutating func call(_ request: ControlRequest, timeout: Duration) throws(ControlError) -> Reply {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        try self.compensate(deadline)
        let reply = try self.exchange(request, deadline)
        if case .refused(let refusal, let text) = reply.response {
            throw .refused(refusal, text)
        }
        return reply
    }

    /// Gives back what a late answer brought, for instance an SMB that nobody knows of.
    private mutating func compensate(_ deadline: ContinuousClock.Instant) throws(ControlError) {
        if let failure { throw failure }
        if let late = self.abandoned {
            let response: ControlResponse
            do throws(ControlError) {
                response = try self.receive(late.requestID, deadline).response
            } catch {
                throw self.ended(late.request, late.requestID, by: error)
            }
            self.abandoned = nil
            self.takeBack(late.request, response)
        }
        while let request = self.compensations.popLast() {
            _ = try self.exchange(request, deadline)
        }
    }

    private mutating func exchange(
        _ request: ControlRequest, _ deadline: ContinuousClock.Instant
    ) throws(ControlError) -> Reply {
        if let failure { throw failure }
        self.lastRequestID &+= 1
        let requestID = self.lastRequestID
        do throws(ControlError) {
            try self.send(request.encoded(requestID: requestID), deadline)
            return try self.receive(requestID, deadline)
        } catch {
            throw self.ended(request, requestID, by: error)
        }
    }

    /// After a timeout the session goes on; after anything else it is over.
    private mutating func ended(
        _ request: ControlRequest, _ requestID: UInt32, by error: ControlError
    ) -> ControlError {
        if case .timedOut = error {
            self.abandoned = (requestID, request)
        } else {
            self.failure = .unavailable("the session with the hypervisor is over: \(error)")
        }
        return error
    }

    private mutating func takeBack(_ request: ControlRequest, _ response: ControlResponse) {
        switch (request, response) {
        case (_, .created(let record)): self.compensations.append(.destroy(record.owner))
        case (_, .accepted(let record)): self.compensations.append(.unbindBuffer(record.buffer))
        // Memory that nobody can map any more: the SMB is of no use, and its owner shall find that out.
        case (.bind(let owner, _), .bound(_, _, .some)), (.unbindOwner(let owner, _), .replaced(.some)),
            (.renew(let owner), .replaced(.some)):
            self.compensations.append(.destroy(owner))
        case (.establish, .addresses(let new)):
            self.compensations += new.map { .withdraw($0.smgid, isForced: true) }
        case (.bind(let owner, let peer), .bound): self.compensations.append(.unbindOwner(owner, from: peer))
        default: break  // Nothing was given that would stay.
        }
    }

    private func send(_ packet: [UInt8], _ deadline: ContinuousClock.Instant) throws(ControlError) {
        while true {
            do throws(SystemCallError) {
                return try self.socket.send(packet)
            } catch {
                guard error.errno == Errno.tryAgain else { throw Self.translated(error) }
            }
            do throws(ControlError) {
                try self.wait(toWrite: true, deadline)
            } catch {
                // Nothing was sent, so no late answer will come; and one request always fits into an empty socket.
                throw .unavailable("the hypervisor does not read its requests")
            }
        }
    }

    private func receive(
        _ requestID: UInt32, _ deadline: ContinuousClock.Instant
    ) throws(ControlError) -> Reply {
        while true {
            let received: UnixSocket.Received?
            do throws(SystemCallError) {
                received = try self.socket.receive(maximumByteCount: ControlLimits.packetByteCount)
            } catch {
                throw Self.translated(error)
            }
            guard let message = received else {
                try self.wait(toWrite: false, deadline)
                continue
            }
            let descriptors = ReceivedDescriptors(adopting: message.descriptors)
            return try Self.decode(requestID, message.bytes, message.isTruncated, descriptors)
        }
    }

    private static func decode(
        _ requestID: UInt32, _ bytes: [UInt8], _ isTruncated: Bool, _ descriptors: consuming ReceivedDescriptors
    ) throws(ControlError) -> Reply {
        guard !bytes.isEmpty else { throw .unavailable("the hypervisor closed the session") }
        guard !isTruncated else { throw .protocolViolation("an answer larger than answers may be") }
        do throws(ControlWireError) {
            let header = try ControlHeader(decoding: bytes)
            let response = try ControlResponse(decoding: bytes, header: header)
            guard response.descriptorCount == descriptors.count else {
                throw .invalidField("number of descriptors")
            }
            guard header.requestID == requestID else { throw .invalidField("request identifier") }
            return Reply(response: response, descriptors: descriptors)
        } catch {
            if case .unsupportedVersion = error { throw .refused(.unsupportedVersion, "\(error)") }
            throw .protocolViolation("\(error)")
        }
    }

    private func wait(toWrite: Bool, _ deadline: ContinuousClock.Instant) throws(ControlError) {
        let remaining = ContinuousClock.now.duration(to: deadline)
        guard remaining > .zero else { throw .timedOut }
        do throws(SystemCallError) {
            guard try Readiness.wait(self.descriptor, toWrite: toWrite, timeout: remaining) else { throw timeout }
        } catch {
            throw error == timeout ? .timedOut : .system(error)
        }
    }

    private static func translated(_ error: SystemCallError) -> ControlError {
        switch error.errno {
        case Errno.brokenPipe, Errno.connectionReset: .unavailable("the hypervisor is gone")
        default: .system(error)
        }
    }
}

/// Only to leave the typed `do` above.
private let timeout = SystemCallError(call: "poll", errno: Errno.timedOut)
