/// When a reader tells the writer how far it has read, if that costs a message of its own (RFC 7609, 4.7; the rule and
/// its numbers are those of Linux).
///
/// The rule keeps small reads from making many small updates, and cannot stall: a writer that is blocked said so (or
/// filled the ring), and reading that much is always more than the threshold.
package struct CreditPolicy: Hashable, Sendable {
    /// Bytes of the ring.
    package let ringByteCount: Int
    /// The peer's last word about itself: its last write filled the ring.
    package var isPeerBlocked = false
    /// How far the peer knows that we have read.
    package private(set) var confirmed: UInt64 = 0

    package init(ringByteCount: Int) {
        self.ringByteCount = ringByteCount
    }

    /// Fewer new bytes than this are not worth a message: a tenth of the ring, at least 2,304 bytes.
    package var threshold: Int { max(self.ringByteCount / 10, 2304) }

    /// Whether to send an update now.
    ///
    /// - Parameters:
    ///   - consumed: how far we have read.
    ///   - produced: how far the peer has written.
    package func isUpdateDue(consumed: UInt64, produced: UInt64) -> Bool {
        let news = consumed &- self.confirmed
        guard news > UInt64(self.threshold) else { return false }
        let inUse = produced &- self.confirmed
        let freeForSender = UInt64(self.ringByteCount) &- min(inUse, UInt64(self.ringByteCount))
        return self.isPeerBlocked || freeForSender <= UInt64(self.ringByteCount / 2)
    }

    /// Notes that a message carried this cursor.
    package mutating func didConfirm(_ consumed: UInt64) {
        self.confirmed = consumed
    }
}
