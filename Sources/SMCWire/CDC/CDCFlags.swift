/// What a CDC message says about the data that its sender produces (PROTOCOL 4.1). Unknown bits are kept.
package struct ProducerFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// B: the receiver's buffer is full, so the sender waits.
    package static let writeBlocked = ProducerFlags(rawValue: 0x80)
    /// P: urgent data waits to be sent.
    package static let urgentPending = ProducerFlags(rawValue: 0x40)
    /// U: the byte before the producer cursor is urgent.
    package static let urgentPresent = ProducerFlags(rawValue: 0x20)
    /// R: send the consumer cursor at once.
    package static let cursorUpdateRequested = ProducerFlags(rawValue: 0x10)
    /// F: the connection has moved to this link; only token and sequence count (PROTOCOL 4.2).
    package static let failoverValidation = ProducerFlags(rawValue: 0x08)
}

/// What a CDC message says about the state of the connection (PROTOCOL 4.1). Once set, a bit stays set.
package struct ConnectionStateFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// D: the sender will send no more data.
    package static let sendingDone = ConnectionStateFlags(rawValue: 0x80)
    /// C: the sender's socket is closed.
    package static let closed = ConnectionStateFlags(rawValue: 0x40)
    /// A: the connection is aborted.
    package static let abnormalClose = ConnectionStateFlags(rawValue: 0x20)
}
