internal import SMCMemory
internal import SMCProtocol
internal import SMCSystem
internal import SMCWire
internal import Synchronization

extension RDMALink {
    /// Puts what a CDC message says into our element's control words, as a peer on the same CEC would have done itself.
    ///
    /// Runs on the event loop's thread.
    func received(_ message: CDCMessage) {
        let isKept = self.state.withLock { state in
            guard state.expected[message.alertToken] != nil else { return false }
            state.expected[message.alertToken] = message
            return true
        }
        if isKept { return }
        // An unknown token is a connection that is over: ignored (PROTOCOL 4.1).
        guard let transport = self.transports.withLock({ $0[message.alertToken] }),
            let medium = self.mediums.withLock({ $0[message.alertToken] })
        else { return }
        guard self.isNews(message) else { return }
        let own = transport.own
        let isAsleep: Bool
        do throws(WireError) {
            let producer = try message.producerCursor.position(
                after: own.producer, elementSize: own.ringByteCount)
            let consumer = try message.consumerCursor.position(
                after: own.consumer, elementSize: medium.target.ringByteCount)
            let readers = producer.map { own.keepAsleep(own.publishProducer($0), at: $0) } ?? .none
            let writers = consumer.map { own.publishConsumer($0) } ?? .none
            isAsleep = !readers.isEmpty || !writers.isEmpty
        } catch {
            transport.failed(.protocolViolation("cursor in CDC: \(error)"))
            return
        }
        self.noteFlags(message)
        let hasNewState = !message.stateFlags.isEmpty && own.state != UInt32(message.stateFlags.rawValue)
        if hasNewState { own.publishState(UInt32(message.stateFlags.rawValue)) }
        if isAsleep || hasNewState { transport.signalled() }
    }

    /// Whether the message is not older than one that was seen (16-bit sequence numbers go round).
    private func isNews(_ message: CDCMessage) -> Bool {
        self.state.withLock { state in
            guard var outgoing = state.outgoing[message.alertToken] else { return false }
            guard !message.producerFlags.contains(.failoverValidation) else { return false }
            let step = Int16(bitPattern: message.sequence &- outgoing.lastReceivedSequence)
            guard step >= 0 else { return false }
            outgoing.lastReceivedSequence = message.sequence
            state.outgoing[message.alertToken] = outgoing
            return true
        }
    }

    private func noteFlags(_ message: CDCMessage) {
        let isUpdateWanted = message.producerFlags.contains(.cursorUpdateRequested)
        self.update(message.alertToken) { outgoing in
            outgoing.credit.isPeerBlocked = message.producerFlags.contains(.writeBlocked)
            if isUpdateWanted { outgoing.isDirty = true }
        }
    }
}
