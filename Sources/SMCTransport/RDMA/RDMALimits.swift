/// Times and sizes of the remote medium.
package enum RDMALimits {
    /// 4.096 µs * 2^16 = 0.27 s between the attempts of a packet...
    package static let timeoutExponent: UInt8 = 16
    /// ...and six of them: a dead peer is known after about 2 s. (7 would be for ever.)
    package static let retryCount: UInt8 = 6
    /// A sender waits 0.64 ms when the receiver has no receive posted.
    package static let receiverNotReadyTimer: UInt8 = 12
    /// An idle link is tested this often; silence for a second interval takes it down.
    package static let testLinkInterval: Duration = .seconds(3)
    /// How long an LLC request may stay unanswered while a connection is set up.
    package static let llcTimeout: Duration = .seconds(5)
    /// How long librdmacm may look for the way to the peer before there is a TCP connection to it...
    package static let earlyResolveTimeout: Duration = .seconds(1)
    /// ...and when there is one, so that the peer's link address is known.
    package static let resolveTimeout: Duration = .seconds(2)
    /// Elements in one RMB.
    package static let elementsPerBuffer = 8
    /// Memory for images that one connection can make us take: a peer says how large its rings are, up to 512 MiB.
    private static let imageByteCount = 16 << 20

    /// How many images of a peer's ring are registered at once.
    ///
    /// - Returns: nil for rings that are so large that we write into none: larger than the bound and than our own.
    package static func imagesPerRegistration(ringByteCount: Int, ownRingByteCount: Int) -> Int? {
        guard ringByteCount <= max(Self.imageByteCount, ownRingByteCount) else { return nil }
        return max(1, min(Self.elementsPerBuffer, Self.imageByteCount / ringByteCount))
    }
}
