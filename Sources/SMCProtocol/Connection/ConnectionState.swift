package import SMCWire

/// The end of a connection, as a state machine: half-close, close and abort of both sides in any order.
///
/// Named states and moves are those of RFC 7609 and Linux (PROTOCOL 7). Pure: what to send is returned.
package struct ConnectionState: Hashable, Sendable {
    /// How far a connection's end has come.
    package enum Phase: String, Hashable, Sendable, CaseIterable {
        /// Both directions are open.
        case active
        /// The peer has ended its direction; ours is open.
        case appCloseWait1
        /// Both directions have ended, the peer's first; we have yet to close.
        case appCloseWait2
        /// We ended our direction (or closed); the peer has said nothing yet.
        case peerCloseWait1
        /// We ended or closed, and the peer has ended its direction but not closed.
        case peerCloseWait2
        /// We closed after the peer had ended its direction; it has yet to close.
        case peerFinCloseWait
        /// We ended our direction, then the peer closed; we have yet to.
        case appFinCloseWait
        /// The peer aborted; we have yet to answer with our own abort.
        case processAbort
        /// Both sides have closed or aborted: nothing of the connection is needed any more.
        case closed
    }

    package private(set) var phase = Phase.active
    /// What we have told the peer so far.
    package private(set) var sent: ConnectionStateFlags = []
    /// What the peer has told us so far.
    package private(set) var received: ConnectionStateFlags = []

    package init() {}

    /// We will send no more.
    ///
    /// - Returns: the flags to tell the peer now, none when it knows already.
    package mutating func sendingEnded() -> ConnectionStateFlags {
        guard self.sent.isDisjoint(with: [.sendingDone, .closed, .abnormalClose]),
            !self.received.contains(.abnormalClose)
        else { return [] }
        self.sent.insert(.sendingDone)
        self.updatePhase()
        return .sendingDone
    }

    /// We close. Unread bytes make it an abort, as with TCP, so that the peer learns that they were not taken.
    package mutating func closed(withUnreadData hasUnreadData: Bool) -> ConnectionStateFlags {
        guard self.sent.isDisjoint(with: [.closed, .abnormalClose]) else { return [] }
        let flags: ConnectionStateFlags =
            hasUnreadData || self.received.contains(.abnormalClose) ? .abnormalClose : .closed
        self.sent.insert(flags)
        self.updatePhase()
        return flags
    }

    /// We give up.
    package mutating func aborted() -> ConnectionStateFlags {
        guard self.sent.isDisjoint(with: [.closed, .abnormalClose]) else { return [] }
        self.sent.insert(.abnormalClose)
        self.updatePhase()
        return .abnormalClose
    }

    /// The peer told us about its end. Bits once set stay set.
    package mutating func peerSaid(_ flags: ConnectionStateFlags) {
        self.received.formUnion(flags)
        self.updatePhase()
    }

    /// The peer has ended its direction: what is in the ring is all that will ever come.
    package var isReceivingOver: Bool { !self.received.isEmpty }
    /// We may not send any more: we said that we are done, or the peer takes nothing.
    package var isSendingOver: Bool {
        !self.sent.isEmpty || !self.received.isDisjoint(with: [.closed, .abnormalClose])
    }
    /// Both sides have closed or aborted: the element may be used for another connection.
    package var isOver: Bool { self.phase == .closed }

    // The phase is a function of what was said by both sides, and of who began. The same may be said again and again.
    private mutating func updatePhase() {
        let hasPeerBegun = self.phase == .appCloseWait1 || self.phase == .appCloseWait2
        let haveWeBegun = self.phase == .peerCloseWait1 || self.phase == .peerCloseWait2
        let weClosed = !self.sent.isDisjoint(with: [.closed, .abnormalClose])
        let weEnded = self.sent.contains(.sendingDone)
        let peerClosed = !self.received.isDisjoint(with: [.closed, .abnormalClose])
        let peerEnded = self.received.contains(.sendingDone)
        switch (weClosed, peerClosed) {
        case (true, true): self.phase = .closed
        case (false, true):
            if self.received.contains(.abnormalClose) {
                self.phase = .processAbort
            } else {
                self.phase = !weEnded ? .appCloseWait1 : hasPeerBegun ? .appCloseWait2 : .appFinCloseWait
            }
        case (true, false):
            if peerEnded {
                self.phase = haveWeBegun ? .peerCloseWait2 : .peerFinCloseWait
            } else {
                self.phase = .peerCloseWait1
            }
        case (false, false):
            switch (weEnded, peerEnded) {
            case (false, false): self.phase = .active
            case (false, true): self.phase = .appCloseWait1
            case (true, false): self.phase = .peerCloseWait1
            case (true, true): self.phase = haveWeBegun ? .peerCloseWait2 : .appCloseWait2
            }
        }
    }
}
