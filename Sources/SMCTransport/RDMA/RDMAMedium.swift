internal import SMCProtocol
package import SMCVerbs
internal import SMCWire

/// RDMA write and CDC: stores into the peer's element over a link (RFC 7609, 4.7 and 4.8).
///
/// What is to be told is kept as one latest value per connection (cursors and flags); the link turns it into as few
/// messages as its free slots allow.
package final class RDMAMedium: Sendable {
    /// The peer's element.
    package struct Target: Hashable, Sendable {
        /// Where its ring begins.
        package var remote: RemoteAddress
        package var ringByteCount: Int
        /// The number by which the peer knows the connection.
        package var alertToken: UInt32

        package init(remote: RemoteAddress, ringByteCount: Int, alertToken: UInt32) {
            self.remote = remote
            self.ringByteCount = ringByteCount
            self.alertToken = alertToken
        }
    }

    /// The number by which our end is known.
    package let alertToken: UInt32
    let target: Target
    /// The image of the peer's ring that writes are made from.
    let image: RegisteredBuffers.Slot
    /// Our own element.
    let own: RegisteredBuffers.Slot
    private let link: RDMALink

    package init(
        alertToken: UInt32, target: Target, image: RegisteredBuffers.Slot, own: RegisteredBuffers.Slot, link: RDMALink
    ) {
        self.alertToken = alertToken
        self.target = target
        self.image = image
        self.own = own
        self.link = link
    }

    /// What the link keeps for a connection, under its lock.
    struct Outgoing: Sendable {
        let medium: RDMAMedium
        /// How far the image is filled, and how far of that is written to the peer.
        var produced: UInt64 = 0
        var written: UInt64 = 0
        var consumed: UInt64 = 0
        var flags: ConnectionStateFlags = []
        var isBlocked = false
        var credit: CreditPolicy
        var sequence: UInt16 = 0
        var lastReceivedSequence: UInt16 = 0
        /// There is something that the peer has not been told.
        var isDirty = false
        /// It stands in the link's queue.
        var isQueued = false
        /// Messages whose completion has not come.
        var inFlight = 0

        init(_ medium: RDMAMedium) {
            self.medium = medium
            self.credit = CreditPolicy(ringByteCount: medium.own.buffers.ringByteCount)
        }
    }

    func publishProducer(_ cursor: UInt64, ringIsFull: Bool) {
        self.link.update(self.alertToken) { outgoing in
            outgoing.produced = cursor
            outgoing.isBlocked = ringIsFull
            outgoing.isDirty = true
        }
    }

    func publishConsumer(_ cursor: UInt64, produced: UInt64, isUrgent: Bool) {
        self.link.update(self.alertToken) { outgoing in
            outgoing.consumed = cursor
            if isUrgent || outgoing.credit.isUpdateDue(consumed: cursor, produced: produced) {
                outgoing.isDirty = true
            }
        }
    }

    func publishState(_ flags: ConnectionStateFlags) {
        self.link.update(self.alertToken) { outgoing in
            outgoing.flags.formUnion(flags)
            outgoing.isDirty = true
        }
    }

    var isFlushed: Bool { self.link.isFlushed(self.alertToken) }
}
