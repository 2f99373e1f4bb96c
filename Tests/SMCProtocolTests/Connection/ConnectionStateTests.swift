import SMCProtocol
import SMCWire
import Testing

/// Half-close, close and abort of both sides, in every order.
struct ConnectionStateTests {
    /// Every sequence of up to five things that can happen, against the table of the protocol.
    @Test func everyOrderOfEventsFollowsTheTable() {
        var walked = 0
        func walk(_ state: ConnectionState, _ table: ConnectionTable, _ history: [ConnectionEvent]) {
            walked += 1
            guard history.count < 5 else { return }
            for event in ConnectionEvent.allCases {
                var state = state
                var table = table
                let told = event.apply(to: &state)
                let expected = table.move(event)
                let path = history + [event]
                guard told == expected, state.phase == table.phase else {
                    Issue.record("\(path): \(state.phase), not \(table.phase); told \(told), not \(expected)")
                    return
                }
                walk(state, table, path)
            }
        }
        walk(ConnectionState(), ConnectionTable(), [])
        #expect(walked == (0...5).reduce(0) { $0 + Self.power(ConnectionEvent.allCases.count, $1) })
    }

    /// What holds whatever happens.
    @Test func invariantsHoldInEveryOrder() {
        let final: ConnectionStateFlags = [.closed, .abnormalClose]
        func walk(_ state: ConnectionState, _ told: [ConnectionStateFlags], _ history: [ConnectionEvent]) {
            let isOverForUs = !state.sent.isDisjoint(with: final)
            let isOverForPeer = !state.received.isDisjoint(with: final)
            if state.isOver != (isOverForUs && isOverForPeer) { Issue.record("\(history): over is \(state.isOver)") }
            if told.count(where: { $0.contains(.sendingDone) }) > 1 { Issue.record("\(history): D twice") }
            if told.count(where: { !$0.isDisjoint(with: final) }) > 1 { Issue.record("\(history): C or A twice") }
            if told.reduce([], { $0.union($1) }) != state.sent { Issue.record("\(history): \(told), \(state.sent)") }
            if let end = told.firstIndex(where: { !$0.isDisjoint(with: final) }), end != told.count - 1 {
                Issue.record("\(history): \(told[end + 1]) after the end")
            }
            if state.isReceivingOver != !state.received.isEmpty { Issue.record("\(history): receiving") }
            if state.isSendingOver != (!state.sent.isEmpty || isOverForPeer) { Issue.record("\(history): sending") }
            guard history.count < 5 else { return }
            for event in ConnectionEvent.allCases {
                var next = state
                let flags = event.apply(to: &next)
                walk(next, flags.isEmpty ? told : told + [flags], history + [event])
            }
        }
        walk(ConnectionState(), [], [])
        #expect(ConnectionState().phase == .active)
    }

    /// Flags persist on the wire, so the same word is read again and again.
    @Test(arguments: ConnectionEvent.allCases) func hearingTheSameAgainChangesNothing(first: ConnectionEvent) {
        for second in ConnectionEvent.allCases {
            var state = ConnectionState()
            _ = first.apply(to: &state)
            _ = second.apply(to: &state)
            let before = state
            state.peerSaid(state.received)
            #expect(state == before, "after \(first), \(second)")
        }
    }

    @Test func anAbortIsAnsweredWithAnAbort() {
        var state = ConnectionState()
        state.peerSaid(.abnormalClose)
        #expect(state.closed(withUnreadData: false) == .abnormalClose)
        #expect(state.isOver)
    }

    private static func power(_ base: Int, _ exponent: Int) -> Int {
        (0..<exponent).reduce(1) { product, _ in product * base }
    }
}

/// What can happen to a connection.
enum ConnectionEvent: CaseIterable {
    case finish, close, closeWithUnreadData, abort, peerFinished, peerClosed, peerAborted

    func apply(to state: inout ConnectionState) -> ConnectionStateFlags {
        switch self {
        case .finish: return state.sendingEnded()
        case .close: return state.closed(withUnreadData: false)
        case .closeWithUnreadData: return state.closed(withUnreadData: true)
        case .abort: return state.aborted()
        case .peerFinished: state.peerSaid(.sendingDone)
        case .peerClosed: state.peerSaid(.closed)
        case .peerAborted: state.peerSaid(.abnormalClose)
        }
        return []
    }
}

/// The table of PROTOCOL, section 7, cell by cell.
///
/// One cell is not followed on purpose: an abort in APPCLOSEWAIT2 leads to PROCESSABORT and not straight to CLOSED, so
/// that the peer always gets our answer before its element is given away.
struct ConnectionTable {
    typealias Phase = ConnectionState.Phase

    private(set) var phase = Phase.active
    private var hasPeerClosed = false
    private var hasPeerAborted = false
    private var hasClosed = false

    mutating func move(_ event: ConnectionEvent) -> ConnectionStateFlags {
        switch event {
        case .finish: return self.finish()
        case .close: return self.close(isAbort: false)
        case .closeWithUnreadData, .abort: return self.close(isAbort: true)
        case .peerFinished: self.peerFinished()
        case .peerClosed: self.peerClosed()
        case .peerAborted: self.peerAborted()
        }
        return []
    }

    private mutating func finish() -> ConnectionStateFlags {
        switch self.phase {
        case .active: self.phase = .peerCloseWait1
        case .appCloseWait1: self.phase = .appCloseWait2
        default: return []
        }
        return .sendingDone
    }

    private mutating func close(isAbort: Bool) -> ConnectionStateFlags {
        guard !self.hasClosed else { return [] }
        self.hasClosed = true
        switch self.phase {
        case .active: self.phase = .peerCloseWait1
        case .appCloseWait1, .appCloseWait2: self.phase = self.hasPeerClosed ? .closed : .peerFinCloseWait
        case .peerCloseWait1, .peerCloseWait2: break
        case .appFinCloseWait, .processAbort: self.phase = .closed
        case .peerFinCloseWait, .closed: Issue.record("closed before in \(self.phase)")
        }
        return isAbort || self.hasPeerAborted ? .abnormalClose : .closed
    }

    private mutating func peerFinished() {
        switch self.phase {
        case .active: self.phase = .appCloseWait1
        case .peerCloseWait1: self.phase = .peerCloseWait2
        default: break
        }
    }

    private mutating func peerClosed() {
        self.hasPeerClosed = true
        switch self.phase {
        case .active: self.phase = .appCloseWait1
        case .peerCloseWait1, .peerCloseWait2: self.phase = self.hasClosed ? .closed : .appFinCloseWait
        case .peerFinCloseWait: self.phase = .closed
        default: break
        }
    }

    private mutating func peerAborted() {
        self.hasPeerAborted = true
        switch self.phase {
        case .active, .appCloseWait1, .appCloseWait2, .appFinCloseWait: self.phase = .processAbort
        case .peerCloseWait1, .peerCloseWait2: self.phase = self.hasClosed ? .closed : .processAbort
        case .peerFinCloseWait: self.phase = .closed
        case .processAbort, .closed: break
        }
    }
}
