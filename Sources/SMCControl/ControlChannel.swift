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

    /// Requests whose answer did not come in time, at most. Over that the session is given up.
    private static let abandonedMaximum = 64

    private let socket: UnixSocket
    private var lastRequestID: UInt32 = 0
    /// Why every further call fails.
    private var failure: ControlError?
    /// Requests that timed out: their answers may still come.
    private var abandoned: [UInt32: ControlRequest] = [:]
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
            while true {
                var reply = try self.receive(deadline)
                if reply.requestID == requestID {
                    return Reply(response: reply.response, descriptors: reply.takeDescriptors())
                }
                guard let late = self.abandoned.removeValue(forKey: reply.requestID) else {
                    throw .protocolViolation("an answer to a request that was not made")
                }
                self.takeBack(late, reply.response)
            }
        } catch {
            throw self.ended(request, requestID, by: error)
        }
    }

    /// After a timeout the session goes on; after anything else it is over.
    private mutating func ended(
        _ request: ControlRequest, _ requestID: UInt32, by error: ControlError
    ) -> ControlError {
        if case .timedOut = error, self.abandoned.count < Self.abandonedMaximum {
            self.abandoned[requestID] = request
        } else {
            self.failure = .unavailable("the session with the hypervisor is over: \(error)")
        }
        return error
    }

    private mutating func takeBack(_ request: ControlRequest, _ response: ControlResponse) {
        switch (request, response) {
        case (_, .created(let record)): self.compensations.append(.destroy(record.owner))
        case (_, .accepted(let record)): self.compensations.append(.unbindBuffer(record.buffer))
        case (.bind(let owner, _), .bound): self.compensations.append(.unbindOwner(owner))
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
            try self.wait(toWrite: true, deadline)
        }
    }

    private struct Arrived: ~Copyable {
        let requestID: UInt32
        let response: ControlResponse
        private var descriptors: ReceivedDescriptors

        init(requestID: UInt32, response: ControlResponse, descriptors: consuming ReceivedDescriptors) {
            self.requestID = requestID
            self.response = response
            self.descriptors = descriptors
        }

        mutating func takeDescriptors() -> ReceivedDescriptors {
            var taken = ReceivedDescriptors(adopting: [])
            swap(&taken, &self.descriptors)
            return taken
        }
    }

    private func receive(_ deadline: ContinuousClock.Instant) throws(ControlError) -> Arrived {
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
            return try Self.decode(message.bytes, message.isTruncated, descriptors)
        }
    }

    private static func decode(
        _ bytes: [UInt8], _ isTruncated: Bool, _ descriptors: consuming ReceivedDescriptors
    ) throws(ControlError) -> Arrived {
        guard !bytes.isEmpty else { throw .unavailable("the hypervisor closed the session") }
        guard !isTruncated else { throw .protocolViolation("an answer larger than answers may be") }
        do throws(ControlWireError) {
            let header = try ControlHeader(decoding: bytes)
            let response = try ControlResponse(decoding: bytes, header: header)
            guard response.descriptorCount == descriptors.count else {
                throw .invalidField("number of descriptors")
            }
            return Arrived(requestID: header.requestID, response: response, descriptors: descriptors)
        } catch {
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
