package import SMCSystem
internal import Synchronization

/// A control area and a ring: one direction of one connection (seed A13), with the stores and loads that both of its
/// sides make.
///
/// Everything that is read here may have been written by a hostile peer. Cursors are returned as they stand; whoever
/// uses one checks it against what it can be (``SMCMemory/CursorBounds``). No method reads or writes outside of the
/// mapping, whatever the shared words say.
@safe
package final class BufferElement: @unchecked Sendable {
    // Sendable: the shared words are atomics; the ring has one writer and one reader, who keep to the cursors.

    /// Bytes of the ring, a power of two.
    package let ringByteCount: Int
    // Kept alive: the pointers below point into them.
    private let control: Mapping
    private let ring: Mapping
    private let controlBase: UnsafeMutableRawPointer
    /// The ring, and behind it the same memory once more: from any place in it `ringByteCount` bytes lie in one piece.
    let ringBase: UnsafeMutableRawPointer
    let producerWord: UnsafeMutablePointer<Atomic<UInt64>>
    let tailTag: UnsafeMutablePointer<Atomic<UInt64>>
    let tail: UnsafeMutableRawPointer
    let consumerWord: UnsafeMutablePointer<Atomic<UInt64>>
    let stateWord: UnsafeMutablePointer<Atomic<UInt32>>
    let wakePosition: UnsafeMutablePointer<Atomic<UInt64>>

    /// Views part of one or two mappings as an element. The ring must lie there twice, one copy behind the other.
    ///
    /// Traps when the parts do not lie in the mappings: their places are ours to choose, never a peer's.
    package init(
        control: Mapping, controlOffset: Int = 0, ring: Mapping, ringOffset: Int, ringByteCount: Int
    ) {
        precondition(BufferElementLayout.isValid(ringByteCount: ringByteCount), "no size for a ring")
        precondition(controlOffset >= 0 && controlOffset % 128 == 0)
        precondition(controlOffset + BufferElementLayout.wordsByteCount <= control.byteCount)
        precondition(ringOffset >= 0 && ringOffset + 2 * ringByteCount <= ring.byteCount)
        self.ringByteCount = ringByteCount
        self.control = control
        self.ring = ring
        // SAFETY: the preconditions put all of this inside of the mappings, which live as long as this object. A fresh
        // mapping is zero, which is a valid Atomic(0); the words are aligned to their size.
        let base = unsafe control.baseAddress + controlOffset
        unsafe self.controlBase = base
        unsafe self.ringBase = ring.baseAddress + ringOffset
        func word<Value>(_ offset: Int, _: Value.Type) -> UnsafeMutablePointer<Atomic<Value>> {
            unsafe (base + offset).assumingMemoryBound(to: Atomic<Value>.self)
        }
        unsafe self.producerWord = word(BufferElementLayout.producerWordOffset, UInt64.self)
        unsafe self.tailTag = word(BufferElementLayout.tailTagOffset, UInt64.self)
        unsafe self.tail = base + BufferElementLayout.tailOffset
        unsafe self.consumerWord = word(BufferElementLayout.consumerWordOffset, UInt64.self)
        unsafe self.stateWord = word(BufferElementLayout.stateWordOffset, UInt32.self)
        unsafe self.wakePosition = word(BufferElementLayout.wakePositionOffset, UInt64.self)
    }

    /// Views a mapped SMB as an element: the control page, the ring, the ring once more.
    package convenience init(sharedMemory: Mapping, ringByteCount: Int) {
        self.init(
            control: sharedMemory, ring: sharedMemory, ringOffset: BufferElementLayout.controlByteCount,
            ringByteCount: ringByteCount)
    }

    /// Maps the file of an SMB as ``init(sharedMemory:ringByteCount:)`` needs it.
    ///
    /// Traps when the file is too small for it.
    package static func map(_ file: borrowing MemoryFile, ringByteCount: Int) throws(SystemCallError) -> Mapping {
        try Mapping(
            file, byteCount: BufferElementLayout.controlByteCount + ringByteCount, mirroring: ringByteCount)
    }

    // MARK: Header and proof

    /// Writes the words that tell the peer what this is. The owner calls it before the element is offered.
    package func writeHeader(challenge: MemoryChallenge) {
        // SAFETY: the header lies in the control area.
        unsafe self.controlBase.storeBytes(
            of: UInt64(self.ringByteCount), toByteOffset: BufferElementLayout.ringByteCountOffset, as: UInt64.self)
        self.store(challenge, at: BufferElementLayout.challengeOffset)
        unsafe self.controlBase.storeBytes(
            of: BufferElementLayout.magic, toByteOffset: BufferElementLayout.magicOffset, as: UInt64.self)
    }

    /// Whether the owner wrote a header of this version with this ring size.
    package var hasValidHeader: Bool {
        // SAFETY: the header lies in the control area.
        let magic = unsafe self.controlBase.load(fromByteOffset: BufferElementLayout.magicOffset, as: UInt64.self)
        let size = unsafe self.controlBase.load(
            fromByteOffset: BufferElementLayout.ringByteCountOffset, as: UInt64.self)
        return magic == BufferElementLayout.magic && size == UInt64(self.ringByteCount)
    }

    /// What the owner wrote for the peer to read back.
    package var challenge: MemoryChallenge { self.loadChallenge(at: BufferElementLayout.challengeOffset) }

    /// What the peer answered.
    package var response: MemoryChallenge { self.loadChallenge(at: BufferElementLayout.responseOffset) }

    /// Answers the owner's challenge through the mapping. The peer calls it.
    package func respond(_ response: MemoryChallenge) {
        self.store(response, at: BufferElementLayout.responseOffset)
    }

    private func store(_ challenge: MemoryChallenge, at offset: Int) {
        // SAFETY: both words lie in the control area.
        unsafe self.controlBase.storeBytes(of: challenge.first, toByteOffset: offset, as: UInt64.self)
        unsafe self.controlBase.storeBytes(of: challenge.second, toByteOffset: offset + 8, as: UInt64.self)
    }

    private func loadChallenge(at offset: Int) -> MemoryChallenge {
        // SAFETY: both words lie in the control area.
        unsafe MemoryChallenge(
            first: self.controlBase.load(fromByteOffset: offset, as: UInt64.self),
            second: self.controlBase.load(fromByteOffset: offset + 8, as: UInt64.self))
    }

    // MARK: Cursors. A word is `cursor << 3 | mark << 2 | sleepers`.

    /// SYNC(element-data): pairs with ``publishProducer(_:)``; ring bytes below the cursor are visible.
    @inline(__always)
    package var producer: UInt64 {
        unsafe self.producerWord.pointee.load(ordering: .acquiring) >> Sleepers.bitCount
    }

    /// SYNC(element-space): pairs with ``publishConsumer(_:)``; the peer has done with ring bytes below the cursor.
    @inline(__always)
    package var consumer: UInt64 {
        unsafe self.consumerWord.pointee.load(ordering: .acquiring) >> Sleepers.bitCount
    }

    /// Publishes how far the ring is filled (SM CS Move, seed A32).
    ///
    /// SYNC(element-data): pairs with ``producer``.
    /// - Returns: who sleeps and must be woken; the flags are taken in the same instruction.
    package func publishProducer(_ cursor: UInt64) -> Sleepers {
        unsafe Self.publish(self.producerWord, cursor)
    }

    /// Publishes how far the other element's ring has been read.
    ///
    /// SYNC(element-space): pairs with ``consumer``.
    /// - Returns: as ``publishProducer(_:)``.
    package func publishConsumer(_ cursor: UInt64) -> Sleepers {
        unsafe Self.publish(self.consumerWord, cursor)
    }

    @unsafe @inline(__always)
    static func publish(_ word: UnsafeMutablePointer<Atomic<UInt64>>, _ cursor: UInt64) -> Sleepers {
        let old = unsafe word.pointee.exchange(cursor << Sleepers.bitCount, ordering: .sequentiallyConsistent)
        return Sleepers(rawValue: old & Sleepers.mask)
    }

    /// Says that the owner is about to sleep until the producer word changes.
    ///
    /// - Returns: false when the cursor is not `seen` any more: look again instead of sleeping.
    package func armProducer(_ sleeper: Sleepers = .signal, ifStill seen: UInt64) -> Bool {
        unsafe Self.arm(self.producerWord, sleeper, seen)
    }

    /// Says that the owner is about to sleep until the consumer word changes.
    ///
    /// - Returns: as ``armProducer(_:ifStill:)``.
    package func armConsumer(_ sleeper: Sleepers = .signal, ifStill seen: UInt64) -> Bool {
        unsafe Self.arm(self.consumerWord, sleeper, seen)
    }

    private static func arm(
        _ word: UnsafeMutablePointer<Atomic<UInt64>>, _ sleeper: Sleepers, _ seen: UInt64
    ) -> Bool {
        var expected = seen << Sleepers.bitCount
        // A few times at most: only the bits below the cursor may differ.
        while true {
            let (exchanged, original) = unsafe word.pointee.compareExchange(
                expected: expected, desired: expected | sleeper.rawValue, ordering: .sequentiallyConsistent)
            if exchanged { return true }
            guard original >> Sleepers.bitCount == seen & (.max >> Sleepers.bitCount), original != expected else {
                return false
            }
            expected = original
        }
    }

    // MARK: Threads that sleep on a word

    /// Sleeps while the producer cursor is `seen` and ``armProducer(_:ifStill:)`` with `.thread` holds. May end early.
    package func sleepOnProducer(_ seen: UInt64, timeout: Duration?) {
        unsafe self.sleep(on: self.producerWord, seen, timeout)
    }

    /// As ``sleepOnProducer(_:timeout:)``, on the consumer word.
    package func sleepOnConsumer(_ seen: UInt64, timeout: Duration?) {
        unsafe self.sleep(on: self.consumerWord, seen, timeout)
    }

    @unsafe
    private func sleep(on word: UnsafeMutablePointer<Atomic<UInt64>>, _ seen: UInt64, _ timeout: Duration?) {
        let now = unsafe word.pointee.load(ordering: .sequentiallyConsistent)
        guard now >> Sleepers.bitCount == seen, now & Sleepers.thread.rawValue != 0 else { return }
        // SAFETY: the word lies in the mapping, which `self` keeps.
        unsafe SharedFutex.wait(word, whileLowerHalfIs: UInt32(truncatingIfNeeded: now), timeout: timeout)
    }

    /// Wakes the owner's thread that sleeps on the producer word. The peer calls it after publishing.
    package func wakeProducerSleeper() { unsafe SharedFutex.wake(self.producerWord) }

    /// Wakes the owner's thread that sleeps on the consumer word. The peer calls it after publishing.
    package func wakeConsumerSleeper() { unsafe SharedFutex.wake(self.consumerWord) }

    /// Takes the owner's own threads out of their sleep, and makes those look again that are on their way to it. The
    /// owner calls it when something else than a cursor has changed, after the change, and if it has such threads.
    package func rouse() {
        unsafe Self.rouse(self.producerWord)
        unsafe Self.rouse(self.consumerWord)
    }

    private static func rouse(_ word: UnsafeMutablePointer<Atomic<UInt64>>) {
        unsafe Self.takeBack(word)
        // Also when the bit was not set: the peer may have taken it, to let the sleeper sleep on (`keepAsleep`).
        unsafe SharedFutex.wake(word)
    }

    /// Takes back that a thread sleeps on the producer word.
    package func disarmProducer() { unsafe Self.disarm(self.producerWord) }

    /// Takes back that a thread sleeps on the consumer word.
    package func disarmConsumer() { unsafe Self.disarm(self.consumerWord) }

    private static func disarm(_ word: UnsafeMutablePointer<Atomic<UInt64>>) {
        guard unsafe word.pointee.load(ordering: .relaxed) & Sleepers.thread.rawValue != 0 else { return }
        unsafe Self.takeBack(word)
    }

    /// The mark first: at no moment does the word look as it was published, or else the peer might set the bit again.
    private static func takeBack(_ word: UnsafeMutablePointer<Atomic<UInt64>>) {
        _ = unsafe word.pointee.bitwiseOr(Sleepers.mark, ordering: .sequentiallyConsistent)
        _ = unsafe word.pointee.bitwiseAnd(~Sleepers.thread.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Where the producer cursor must be for the owner's sleep to end. The owner sets it before it arms.
    ///
    /// SYNC(wake-position): pairs with ``keepAsleep(_:at:)``.
    package func setWakePosition(_ position: UInt64) {
        unsafe self.wakePosition.pointee.store(position, ordering: .relaxed)
    }

    /// Lets sleepers whose wake position is not reached sleep on: the peer calls it with what publishing returned.
    ///
    /// SYNC(wake-position): pairs with ``setWakePosition(_:)``, by way of the sleepers in the producer word.
    /// - Returns: who is to be woken now.
    package func keepAsleep(_ sleepers: Sleepers, at cursor: UInt64) -> Sleepers {
        let position = unsafe self.wakePosition.pointee.load(ordering: .relaxed)
        // A position that cannot be is as good as reached: then the owner looks for itself.
        let missing = position &- cursor
        guard missing > 0, missing <= UInt64(self.ringByteCount) else { return sleepers }
        // Fails when the owner has changed the word: then it is awake and has seen the cursor.
        let word = cursor << Sleepers.bitCount
        _ = unsafe self.producerWord.pointee.compareExchange(
            expected: word, desired: word | sleepers.rawValue, ordering: .sequentiallyConsistent)
        return .none
    }

    // MARK: State

    /// What the peer said about its end of the connection (bits of CDC, RFC 7609).
    ///
    /// SYNC(element-state): pairs with ``publishState(_:)``; what the peer published before is visible.
    package var state: UInt32 {
        unsafe self.stateWord.pointee.load(ordering: .sequentiallyConsistent)
    }

    /// Tells the owner about our end. Bits once set stay set. The owner must be signalled afterwards.
    ///
    /// SYNC(element-state): pairs with ``state``.
    package func publishState(_ bits: UInt32) {
        _ = unsafe self.stateWord.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent)
    }

    /// Makes a control area of our own that is used again look fresh.
    package func reset() {
        unsafe self.producerWord.pointee.store(0, ordering: .sequentiallyConsistent)
        unsafe self.consumerWord.pointee.store(0, ordering: .sequentiallyConsistent)
        unsafe self.tailTag.pointee.store(0, ordering: .sequentiallyConsistent)
        unsafe self.stateWord.pointee.store(0, ordering: .sequentiallyConsistent)
        unsafe self.wakePosition.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    // MARK: The ring (SM Move, seed A31)

    /// Where stream position `position` lies in the ring; from there `ringByteCount` bytes lie in one piece.
    @unsafe @inline(__always)
    func place(of position: UInt64) -> UnsafeMutableRawPointer {
        // SAFETY: the offset is below ringByteCount, and the ring is mapped twice.
        unsafe self.ringBase + Int(truncatingIfNeeded: position & UInt64(self.ringByteCount - 1))
    }

    /// Copies bytes into the ring from stream position `position` on, around its end if need be.
    ///
    /// - Safety: at most ``ringByteCount`` bytes, all of them free as the consumer cursor says.
    @unsafe
    package func write(_ source: UnsafeRawBufferPointer, at position: UInt64) {
        guard let bytes = source.baseAddress else { return }
        precondition(source.count <= self.ringByteCount)
        unsafe self.place(of: position).copyMemory(from: bytes, byteCount: source.count)
    }

    /// Copies bytes out of the ring from stream position `position` on.
    ///
    /// - Safety: at most ``ringByteCount`` bytes, all of them filled as the producer cursor says.
    @unsafe
    package func read(into target: UnsafeMutableRawBufferPointer, at position: UInt64) {
        guard let bytes = target.baseAddress else { return }
        precondition(target.count <= self.ringByteCount)
        unsafe bytes.copyMemory(from: self.place(of: position), byteCount: target.count)
    }
}

/// 128 random bits that one end writes where the other must read them back, to prove that both see the same memory.
package struct MemoryChallenge: Hashable, Sendable {
    package var first: UInt64
    package var second: UInt64

    package init(first: UInt64, second: UInt64) {
        self.first = first
        self.second = second
    }

    /// A new challenge; never all zero, which is what untouched memory holds.
    package static func random() -> MemoryChallenge {
        MemoryChallenge(first: .random(in: 1 ... .max), second: .random(in: 1 ... .max))
    }

    /// What the other end must write: not the challenge itself, so that memory that merely echoes proves nothing.
    package var expectedResponse: MemoryChallenge {
        MemoryChallenge(first: ~self.second, second: ~self.first)
    }
}
