internal import SMCMemory
internal import SMCSystem

extension StreamConnection {
    // MARK: Waiting, for whoever has begun. All of these may return early.

    /// Blocks the thread until there may be `count` bytes to read, or anything else to see.
    func blockForBytes(_ count: Int, until deadline: ContinuousClock.Instant?) throws(TransportError) {
        guard let element = self.element, element.isWorthSpinning else {
            try self.blockForReading(count, until: deadline)
            return
        }
        switch self.spinForBytes(element, count, self.waiting, until: deadline) {
        case .look: return
        case .timedOut: throw .timedOut
        case .sleep: break
        }
        let start = ContinuousClock.now
        guard element.blockForBytes(count, until: deadline) else { throw .timedOut }
        self.receiveSpinner.note(start)
    }

    private func blockForReading(_ count: Int, until deadline: ContinuousClock.Instant?) throws(TransportError) {
        if let element = self.element {
            guard element.blockForBytes(count, until: deadline) else { throw .timedOut }
            return
        }
        guard let ticket = try self.transport.prepareToReceive() else { return }
        guard self.transport.readPoint.block(since: ticket, until: deadline) else { throw .timedOut }
    }

    /// Blocks the thread until there may be room for `count` bytes, or anything else to see.
    func blockForRoom(_ count: Int, until deadline: ContinuousClock.Instant?) throws(TransportError) {
        if let element = self.element {
            if element.isWorthSpinning {
                switch self.spinForRoom(element, self.waiting, until: deadline) {
                case .look: return
                case .timedOut: throw .timedOut
                case .sleep: break
                }
            }
            let start = ContinuousClock.now
            guard try element.blockForRoom(count, until: deadline) else { throw .timedOut }
            self.sendSpinner.note(start)
            return
        }
        guard let ticket = try self.transport.prepareToSend() else { return }
        guard self.transport.writePoint.block(since: ticket, until: deadline) else { throw .timedOut }
    }

    /// Suspends the task until there may be `count` bytes to read, or anything else to see.
    nonisolated(nonsending) func waitForBytes(
        _ count: Int, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        let waiting = self.waiting
        if let element = self.element, element.isWorthSpinning {
            // Others may need the thread: a task that polls comes back to it again and again.
            switch self.spinForBytes(element, count, waiting == .busyPoll ? .adaptive : waiting, until: deadline) {
            case .look: return
            case .timedOut: throw .timedOut
            case .sleep: break
            }
            if waiting == .busyPoll { return try await Self.yield(until: deadline) }
        }
        let start = ContinuousClock.now
        guard let ticket = try self.prepareToReceive(count) else { return }
        let isInTime = await self.transport.readPoint.wait(since: ticket, until: deadline, on: self.channel.loop)
        try Self.check(isInTime)
        self.receiveSpinner.note(start)
    }

    /// Suspends the task until there may be room for `count` bytes, or anything else to see.
    nonisolated(nonsending) func waitForRoom(
        _ count: Int, until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        let waiting = self.waiting
        if let element = self.element, element.isWorthSpinning {
            switch self.spinForRoom(element, waiting == .busyPoll ? .adaptive : waiting, until: deadline) {
            case .look: return
            case .timedOut: throw .timedOut
            case .sleep: break
            }
            if waiting == .busyPoll { return try await Self.yield(until: deadline) }
        }
        let start = ContinuousClock.now
        guard let ticket = try self.prepareToSend(count) else { return }
        let isInTime = await self.transport.writePoint.wait(since: ticket, until: deadline, on: self.channel.loop)
        try Self.check(isInTime)
        self.sendSpinner.note(start)
    }

    private func prepareToReceive(_ count: Int) throws(TransportError) -> WaitPoint.Ticket? {
        if let element = self.element { return element.prepareToReceive(count) }
        return try self.transport.prepareToReceive()
    }

    private func prepareToSend(_ count: Int) throws(TransportError) -> WaitPoint.Ticket? {
        if let element = self.element { return try element.prepareToSend(count) }
        return try self.transport.prepareToSend()
    }

    private func spinForBytes(
        _ element: ElementTransport, _ count: Int, _ waiting: Waiting, until deadline: ContinuousClock.Instant?
    ) -> Spinner.Outcome {
        let receiver = element.receiver
        return self.receiveSpinner.spin(
            waiting, until: deadline, { receiver.pollForNews(of: count, looks: $0) },
            { receiver.isQuiet && !element.isInTrouble })
    }

    private func spinForRoom(
        _ element: ElementTransport, _ waiting: Waiting, until deadline: ContinuousClock.Instant?
    ) -> Spinner.Outcome {
        let sender = element.sender
        return self.sendSpinner.spin(
            waiting, until: deadline, { sender.pollForNews(looks: $0) }, { sender.mayProceed })
    }

    nonisolated(nonsending) private static func yield(
        until deadline: ContinuousClock.Instant?
    ) async throws(TransportError) {
        if Task.isCancelled { throw .cancelled }
        if let deadline, ContinuousClock.now >= deadline { throw .timedOut }
        await Task.yield()
    }

    private static func check(_ isInTime: Bool) throws(TransportError) {
        if Task.isCancelled { throw .cancelled }
        guard isInTime else { throw .timedOut }
    }
}
