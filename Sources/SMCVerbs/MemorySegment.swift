/// A piece of registered local memory, as a work request names it.
///
/// A `MemoryRegion` makes them, so the range was registered. Whoever posts one keeps that region alive until the request
/// has completed.
package struct MemorySegment: Sendable, Hashable, BitwiseCopyable {
    package let address: UInt64
    package let byteCount: UInt32
    package let localKey: UInt32

    /// - Safety: the bytes are mapped as long as a request may use them: an inline request reads them while posting.
    @unsafe
    package init(address: UInt64, byteCount: UInt32, localKey: UInt32) {
        self.address = address
        self.byteCount = byteCount
        self.localKey = localKey
    }
}

/// A place in the peer's memory and the key that opens it.
package struct RemoteAddress: Sendable, Hashable, BitwiseCopyable {
    package var address: UInt64
    package var key: UInt32

    package init(address: UInt64, key: UInt32) {
        self.address = address
        self.key = key
    }
}

/// One work request for the send queue.
package struct SendRequest: Sendable, Hashable, BitwiseCopyable {
    package enum Operation: Sendable, Hashable, BitwiseCopyable {
        /// Two-sided: fills the peer's next receive.
        case send
        /// One-sided: the peer's processor does not notice.
        case write(RemoteAddress)
        /// One-sided, and the peer's next receive completes with the 32 bits. Without a segment only they travel.
        case writeWithImmediate(RemoteAddress, UInt32)
    }

    package struct Flags: OptionSet, Sendable, Hashable, BitwiseCopyable {
        package var rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Completes with an entry in the completion queue also when it succeeds; failures always do.
        package static let signaled = Flags(rawValue: 1)
        /// Wakes a peer that armed its queue for solicited messages only.
        package static let solicited = Flags(rawValue: 2)
        /// The bytes are copied while posting, so the memory may change at once. At most `QueuePair.inlineMax` bytes.
        package static let inline = Flags(rawValue: 4)
    }

    package var id: UInt64
    package var operation: Operation
    package var segment: MemorySegment?
    package var flags: Flags

    package init(id: UInt64, _ operation: Operation, _ segment: MemorySegment?, flags: Flags = []) {
        self.id = id
        self.operation = operation
        self.segment = segment
        self.flags = flags
    }
}
