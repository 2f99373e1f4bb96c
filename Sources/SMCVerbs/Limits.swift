/// Bounds of this module and the values that a link uses unless told otherwise, each with its reason.
package enum Limits {
    /// Work requests in one call of `QueuePair.post`: sixteen is a message slot's worth many times over (Linux chains 3).
    package static let chainMax = 16
    /// Completions taken per call of `CompletionQueue.poll`; Linux SMC takes 10.
    package static let pollBatch = 16
    /// Pieces of memory that one receive may fill (SMC v2 uses 2).
    package static let receiveSegmentsMax = 2
    /// 7 means "for ever", to the specification and to rxe: a dead peer would never show.
    package static let retryCountMax: UInt8 = 6
    /// With timeout 14 (67 ms) and 6 retries a dead link is known after about 0.45 s.
    package static let retryCountDefault: UInt8 = 6
    /// The wait before a retransmission is 4.096 µs * 2^14 = 67 ms.
    package static let timeoutExponentDefault: UInt8 = 14
    /// 7 is for ever: a peer short of receives is slow, not dead; the other witnesses tell which.
    package static let receiverNotReadyRetryCountDefault: UInt8 = 7
    /// Code 5: 0.06 ms, as in Linux SMC.
    package static let receiverNotReadyTimerDefault: UInt8 = 5
    /// Routers that a packet may pass.
    package static let hopLimitDefault: UInt8 = 64
    /// Packet sequence numbers and queue pair numbers have 24 bits.
    package static let numberMax: UInt32 = 0xFF_FFFF
    /// How long resolving an address may take: neighbour discovery answers in well under a second or not at all.
    package static let resolveTimeoutDefault: Duration = .seconds(2)
    /// Entries of a port's GID table that are looked at; rxe has room for 1024.
    package static let gidTableMax = 4096
}
