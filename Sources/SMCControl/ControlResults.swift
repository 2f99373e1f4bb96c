package import SMCSystem
package import SMCWire

/// An SMB that this partition owns (A25, A43).
package struct CreatedSMB: ~Copyable, Sendable {
    package let owner: OwnerToken
    /// The memory: control area, then the ring. All zeros.
    package let file: MemoryFile
    /// Bytes of the ring, at least what was asked for.
    package let ringByteCount: Int
}

/// An SMB of ours that is offered to a peer (A27).
package struct BoundSMB: ~Copyable, Sendable {
    /// Tell the peer this number; nobody else can use it.
    package let offer: OfferToken
    /// The bit that the peer will set in our incoming array.
    package let signal: SignalGrant
    /// New memory with the contents of the old one, which a former peer may still have: map it in its place.
    package let replacement: MemoryFile?

    init(offer: OfferToken, signal: consuming SignalGrant, replacement: consuming MemoryFile?) {
        self.offer = offer
        self.signal = signal
        self.replacement = replacement
    }

    /// Takes it apart.
    package consuming func takeSignal() -> SignalGrant {
        self.signal
    }
}

/// A peer's SMB that we may write into (A28, A50).
package struct AcceptedSMB: ~Copyable, Sendable {
    package let buffer: BufferToken
    package let file: MemoryFile
    package let ringByteCount: Int
    /// The bit to set in our outgoing array for this SMB.
    package let signal: SignalGrant

    init(buffer: BufferToken, file: consuming MemoryFile, ringByteCount: Int, signal: consuming SignalGrant) {
        self.buffer = buffer
        self.file = file
        self.ringByteCount = ringByteCount
        self.signal = signal
    }

    /// Takes it apart.
    package consuming func takeSignal() -> SignalGrant {
        self.signal
    }
}

/// The right to signal, or to be signalled, about one SMB (A20).
package struct SignalGrant: ~Copyable, Sendable {
    package let token: SignalToken
    /// Number of the pair of partitions; never used twice by one hypervisor.
    package let pair: UInt64
    /// Index of the SMB's bit in the array that leads from the SMB's peer to its owner.
    package let bit: Int
    /// Whether ``newPair`` is there.
    package let hasNewPair: Bool
    /// The pair's descriptors: there when this session has no other grant for `pair`, and only then. Keep them
    /// until your last grant for the pair ends (you unbind or destroy its SMB); the next one brings them again.
    package let newPair: PairResources?

    init(record: SignalRecord, newPair: consuming PairResources?) {
        self.token = record.token
        self.pair = record.pair
        self.bit = record.bit
        self.hasNewPair = record.hasNewPair
        self.newPair = newPair
    }

    /// Takes the pair's descriptors out of the grant.
    package consuming func takeNewPair() -> PairResources? {
        self.newPair
    }
}

/// What one side of a pair of partitions needs to signal and to be signalled (A21).
package struct PairResources: ~Copyable, Sendable {
    /// The counterpart sets bits here; we take them.
    package let incomingArray: MemoryFile
    /// We set bits here.
    package let outgoingArray: MemoryFile
    /// Readable when there is something in the incoming array.
    package let incomingEvent: EventDescriptor
    /// Wakes the counterpart.
    package let outgoingEvent: EventDescriptor

    init(
        incomingArray: consuming MemoryFile, outgoingArray: consuming MemoryFile,
        incomingEvent: consuming EventDescriptor, outgoingEvent: consuming EventDescriptor
    ) {
        self.incomingArray = incomingArray
        self.outgoingArray = outgoingArray
        self.incomingEvent = incomingEvent
        self.outgoingEvent = outgoingEvent
    }
}
