import SMCProtocol
import SMCTesting
import Testing

/// When a reader's progress is worth a message of its own.
struct CreditPolicyTests {
    @Test(arguments: [(16_384, 2304), (32_768, 3276), (65_536, 6553), (131_072, 13107), (1_048_576, 104_857)])
    func thresholdIsATenthButNotTooLittle(ringByteCount: Int, threshold: Int) {
        #expect(CreditPolicy(ringByteCount: ringByteCount).threshold == threshold)
    }

    @Test func littleNewsIsNeverWorthAMessage() {
        var policy = CreditPolicy(ringByteCount: 65_536)
        policy.isPeerBlocked = true
        #expect(!policy.isUpdateDue(consumed: 6553, produced: 65_536))
        #expect(policy.isUpdateDue(consumed: 6554, produced: 65_536))
    }

    @Test func aSenderWithHalfAWindowNeedsNoMessage() {
        let policy = CreditPolicy(ringByteCount: 65_536)
        #expect(!policy.isUpdateDue(consumed: 32_767, produced: 32_767))
        #expect(policy.isUpdateDue(consumed: 32_768, produced: 32_768))
        var blocked = policy
        blocked.isPeerBlocked = true
        #expect(blocked.isUpdateDue(consumed: 7000, produced: 7000))
    }

    @Test func whatWasToldIsNoNews() {
        var policy = CreditPolicy(ringByteCount: 65_536)
        policy.didConfirm(40_000)
        #expect(policy.confirmed == 40_000)
        #expect(!policy.isUpdateDue(consumed: 46_553, produced: 105_536))
        #expect(policy.isUpdateDue(consumed: 46_554, produced: 105_536))
    }

    /// Cursors are counts modulo 2^64 here.
    @Test func cursorsMayWrap() {
        var policy = CreditPolicy(ringByteCount: 65_536)
        let start = UInt64.max - 1000
        policy.didConfirm(start)
        #expect(policy.isUpdateDue(consumed: start &+ 40_000, produced: start &+ 40_000))
        #expect(!policy.isUpdateDue(consumed: start &+ 5000, produced: start &+ 65_536))
    }

    /// A writer and a reader of random habits: whenever the writer is blocked, either bytes wait for the reader or an
    /// update is on its way; and updates are far fewer than reads.
    @Test(arguments: 0..<200) func aBlockedWriterNeverStalls(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let ring = 16_384 << Int.random(in: 0...4, using: &random)
        let mostPerWrite = Int.random(in: 1...ring, using: &random)
        let mostPerRead = Int.random(in: 1...ring, using: &random)
        let eagerness = Int.random(in: 1...9, using: &random)
        let total = UInt64(ring) * 20
        var policy = CreditPolicy(ringByteCount: ring)
        var (produced, consumed, known) = (UInt64(0), UInt64(0), UInt64(0))
        var updates = 0
        while consumed < total {
            let room = ring - Int(produced - known)
            let waiting = Int(produced - consumed)
            guard room > 0 || waiting > 0 else {
                Issue.record("stalled at \(consumed), told \(known), ring \(ring), seed \(seed)")
                return
            }
            let isWriting = Int.random(in: 0..<10, using: &random) < eagerness
            if room > 0, isWriting || waiting == 0 {
                let count = min(room, Int.random(in: 1...mostPerWrite, using: &random))
                produced += UInt64(count)
                policy.isPeerBlocked = count == room
            } else if waiting > 0 {
                consumed += UInt64(min(waiting, Int.random(in: 1...mostPerRead, using: &random)))
                guard policy.isUpdateDue(consumed: consumed, produced: produced) else { continue }
                updates += 1
                known = consumed
                policy.didConfirm(consumed)
            }
        }
        #expect(UInt64(updates) <= consumed / UInt64(policy.threshold), "seed \(seed)")
    }

    /// Request and answer of a small size: the window is never the problem, and few messages tell of it.
    @Test func smallMessagesAreNotEachAnswered() {
        var policy = CreditPolicy(ringByteCount: 65_536)
        var updates = 0
        for count in 1...10_000 {
            let cursor = UInt64(count * 64)
            guard policy.isUpdateDue(consumed: cursor, produced: cursor) else { continue }
            updates += 1
            policy.didConfirm(cursor)
        }
        #expect(updates == 640_000 / 32_768)
    }
}
