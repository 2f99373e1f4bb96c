import Testing

/// The protocol of publishing, arming, sleeping and waking, in every order of its atomic steps.
///
/// A model of what `SenderState`, `ReceiverState` and `ElementTransport` do, step by step: a sender that waits for room
/// for one byte or half a ring, a receiver that waits for as much, and a third party that ends the connection at any
/// moment. Stuck is who sleeps when nobody can do anything any more.
struct WakeModelTests {
    @Test func nobodySleepsForEver() {
        for explorer in [Explorer(ring: 8, total: 9, hasEnder: false), Explorer(ring: 4, total: 4, hasEnder: true)] {
            let found = explorer.run()
            #expect(found.stuck == nil, "\(String(describing: found.stuck))")
            // If this falls, the model has lost steps.
            #expect(found.count > 10_000, "\(found.count) states")
        }
    }

    /// The same with one thing wrong each: the model would find it.
    @Test(arguments: Flaw.allCases) func mistakesAreFound(flaw: Flaw) {
        let explorer =
            switch flaw {
            case .armsBlindly, .forgetsSleepers, .tellsTooLate: Explorer(ring: 8, total: 13, hasEnder: false)
            case .waitsForMuchWithoutTelling: Explorer(ring: 16, total: 19, hasEnder: false)
            case .rousesByTheBit, .takesBackUnmarked, .looksBeforeArming: Explorer(ring: 4, total: 5, hasEnder: true)
            }
        #expect(explorer.with(flaw).run().stuck != nil, "\(flaw) does no harm")
    }
}

enum Flaw: CaseIterable {
    /// The bit is set without comparing the cursor.
    case armsBlindly
    /// Publishing does not say who slept.
    case forgetsSleepers
    /// Reading is told only when the ring has been read three quarters.
    case tellsTooLate
    /// Who waits for much does not tell what it has read.
    case waitsForMuchWithoutTelling
    /// The third party wakes only those whose bit is set.
    case rousesByTheBit
    /// Who takes a bit back leaves no mark.
    case takesBackUnmarked
    /// The look at the end of the connection comes before arming.
    case looksBeforeArming
}

private struct Word: Hashable {
    var cursor = 0
    var isArmed = false
    var isMarked = false

    /// Takes the bit back, marked first.
    mutating func takeBack(_ flaw: Flaw?) {
        self.isArmed = false
        self.isMarked = flaw != .takesBackUnmarked
    }
}

/// Where an actor is; the next step is what the case says.
private enum Step: Hashable {
    case begin, look, count, arm(Int), check(Int), sleep(Int), asleep, disarm, discount
    case publish, examine, keep, wake, tell(thenWait: Bool), wakeWriter(thenWait: Bool), setPosition(Int), done
}

private struct State: Hashable {
    var producerWord = Word()
    var consumerWord = Word()
    var wakePosition = 0
    var hasEnded = false
    var sleepers = 0

    var sender = Step.begin
    var senderNeed = 0
    var produced = 0
    var limit: Int

    var receiver = Step.begin
    var receiverNeed = 0
    var consumed = 0
    var told = 0

    /// Of the third party: how far it has come.
    var ender = 0
    var enderSawBit = [false, false]
    /// The sender has chosen to go on.
    var hasChosen = false

    var isStuck: Bool { self.sender == .asleep || self.receiver == .asleep }
}

private struct Explorer {
    var ring: Int
    var total: Int
    var hasEnder: Bool
    var flaw: Flaw?

    /// What is waited for: anything, or as much as can be.
    private func needs(_ left: Int) -> [Int] { [1, self.ring / 2].filter { $0 <= left } }

    func with(_ flaw: Flaw) -> Explorer {
        var explorer = self
        explorer.flaw = flaw
        return explorer
    }

    func run() -> (count: Int, stuck: State?) {
        let first = State(limit: self.ring)
        var seen: Set<State> = [first]
        var open = [first]
        while let state = open.popLast() {
            let next = self.sender(state) + self.receiver(state) + (self.hasEnder ? self.ender(state) : [])
            if next.isEmpty, state.isStuck { return (seen.count, state) }
            for state in next where seen.insert(state).inserted { open.append(state) }
        }
        return (seen.count, nil)
    }

    // MARK: The sender

    private func sender(_ old: State) -> [State] {
        var state = old
        switch old.sender {
        case .begin:
            // After the end it may leave or not notice.
            if old.hasEnded, !old.hasChosen {
                var leaving = state
                leaving.sender = .done
                state.hasChosen = true
                return [leaving, state]
            }
            guard old.produced < self.total else { return self.with(&state) { $0.sender = .done } }
            return self.needs(self.total - old.produced).map { need in
                var state = old
                state.senderNeed = need
                state.sender = old.limit - old.produced >= need ? .publish : .look
                return state
            }
        case .look:
            state.limit = old.consumerWord.cursor + self.ring
            state.sender = state.limit - old.produced >= old.senderNeed ? .publish : .count
        case .count:
            state.sleepers += 1
            state.sender = self.flaw == .looksBeforeArming && old.hasEnded ? .done : .arm(old.limit - self.ring)
        case .arm(let seen):
            if self.flaw == .armsBlindly || old.consumerWord.cursor == seen {
                state.consumerWord.isArmed = true
                state.sender = .check(seen)
            } else {
                state.sender = .disarm
            }
        case .check(let seen):
            state.sender = old.hasEnded && self.flaw != .looksBeforeArming ? .done : .sleep(seen)
        case .sleep(let seen):
            let isSame = self.flaw == .armsBlindly || old.consumerWord.cursor == seen
            state.sender = isSame && old.consumerWord.isArmed ? .asleep : .disarm
        case .disarm:
            state.consumerWord.takeBack(self.flaw)
            state.sender = .discount
        case .discount:
            state.sleepers -= 1
            state.sender = old.hasEnded ? .done : .look
        case .publish:
            let slept = old.producerWord.isArmed && self.flaw != .forgetsSleepers
            state.produced += old.senderNeed
            state.producerWord = Word(cursor: state.produced)
            state.sender = slept ? .examine : .begin
        case .examine:
            let missing = old.wakePosition - old.produced
            state.sender = missing > 0 && missing <= self.ring ? .keep : .wake
        case .keep:
            if old.producerWord == Word(cursor: old.produced) { state.producerWord.isArmed = true }
            state.sender = .begin
        case .wake:
            if old.receiver == .asleep { state.receiver = .disarm }
            state.sender = .begin
        default: return []
        }
        return [state]
    }

    private func with(_ state: inout State, _ change: (inout State) -> Void) -> [State] {
        change(&state)
        return [state]
    }

    // MARK: The receiver

    private func receiver(_ old: State) -> [State] {
        var state = old
        switch old.receiver {
        case .begin:
            guard old.consumed < self.total else { return self.with(&state) { $0.receiver = .done } }
            return self.needs(self.total - old.consumed).map { need in
                var state = old
                state.receiverNeed = need
                state.receiver = .look
                return state
            }
        case .look: return self.look(old)
        case .tell(let thenWait):
            let slept = old.consumerWord.isArmed && self.flaw != .forgetsSleepers
            state.told = old.consumed
            state.consumerWord = Word(cursor: old.consumed)
            state.receiver = slept ? .wakeWriter(thenWait: thenWait) : self.after(thenWait, old)
        case .wakeWriter(let thenWait):
            if old.sender == .asleep { state.sender = .disarm }
            state.receiver = self.after(thenWait, old)
        case .count:
            state.sleepers += 1
            // Arming begins with another look.
            let seen = old.producerWord.cursor
            state.receiver = seen - old.consumed >= old.receiverNeed ? .discount : .setPosition(seen)
        case .setPosition(let seen):
            state.wakePosition = old.consumed + old.receiverNeed
            state.receiver = self.flaw == .looksBeforeArming && old.hasEnded ? .done : .arm(seen)
        case .arm(let seen):
            if self.flaw == .armsBlindly || old.producerWord.cursor == seen {
                state.producerWord.isArmed = true
                state.receiver = .check(seen)
            } else {
                state.receiver = .disarm
            }
        case .check(let seen):
            state.receiver = old.hasEnded && self.flaw != .looksBeforeArming ? .done : .sleep(seen)
        case .sleep(let seen):
            let isSame = self.flaw == .armsBlindly || old.producerWord.cursor == seen
            state.receiver = isSame && old.producerWord.isArmed ? .asleep : .disarm
        case .disarm:
            state.producerWord.takeBack(self.flaw)
            state.receiver = .discount
        case .discount:
            state.sleepers -= 1
            state.receiver = old.hasEnded ? .done : .look
        default: return []
        }
        return [state]
    }

    private func after(_ thenWait: Bool, _ state: State) -> Step { thenWait ? .count : .begin }

    /// Takes some or all of what there is, if that is enough.
    private func look(_ old: State) -> [State] {
        let waiting = old.producerWord.cursor - old.consumed
        guard waiting >= old.receiverNeed else {
            var state = old
            let mustTell = old.receiverNeed > 1 && old.consumed != old.told && self.flaw != .waitsForMuchWithoutTelling
            state.receiver = mustTell ? .tell(thenWait: true) : .count
            return [state]
        }
        return Set([1, waiting]).map { count in
            var state = old
            state.consumed += count
            let isDue = state.consumed - old.told >= (self.flaw == .tellsTooLate ? self.ring * 3 / 4 : self.ring / 4)
            state.receiver = isDue ? .tell(thenWait: false) : .begin
            return state
        }
    }

    // MARK: The third party

    private func ender(_ old: State) -> [State] {
        var state = old
        switch old.ender {
        case 0: state.hasEnded = true
        case 1:
            // Nobody sleeps, nor is about to without having seen the end.
            if old.sleepers == 0 {
                state.ender = 6
                return [state]
            }
        case 2:
            state.enderSawBit[0] = old.producerWord.isArmed
            state.producerWord.takeBack(self.flaw)
        case 3: if self.wakes(old, 0), old.receiver == .asleep { state.receiver = .disarm }
        case 4:
            state.enderSawBit[1] = old.consumerWord.isArmed
            state.consumerWord.takeBack(self.flaw)
        case 5: if self.wakes(old, 1), old.sender == .asleep { state.sender = .disarm }
        default: return []
        }
        state.ender += 1
        return [state]
    }

    private func wakes(_ state: State, _ word: Int) -> Bool {
        self.flaw != .rousesByTheBit || state.enderSawBit[word]
    }
}
