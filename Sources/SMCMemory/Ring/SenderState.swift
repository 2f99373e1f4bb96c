internal import SMCSystem
internal import Synchronization

/// The sending end of one direction: our cursor, what we know of the peer's, and the words that we store into.
///
/// All that the hot path touches, without allocations, locks, or counts of references. Nothing traps and nothing leaves
/// the ring, whatever the peer writes, and even if two threads use it at once, which ``begin()`` is there to notice.
@safe
struct SenderState: ~Copyable {
    let ringByteCount: Int
    let storeByteCount: Int
    private let ring: UnsafeMutableRawPointer
    private let producerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let tailTag: UnsafeMutablePointer<Atomic<UInt64>>
    private let tail: UnsafeMutableRawPointer
    private let consumerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let stateWord: UnsafeMutablePointer<Atomic<UInt32>>
    private let stopBits: UInt32

    let isStopped = Atomic<Bool>(false)
    let isInUse = Atomic<Bool>(false)
    let produced = Atomic<UInt64>(0)
    /// How far we may produce, as far as we know.
    let limit: Atomic<UInt64>

    /// - Parameters:
    ///   - own: our element, where the peer tells what it has read, and that it closes.
    ///   - outgoing: what we write into.
    ///   - stopBits: bits of the state word after which the peer takes nothing.
    init(own: BufferElement, outgoing: BufferElement, storeByteCount: Int, stopBits: UInt32) {
        self.ringByteCount = outgoing.ringByteCount
        self.storeByteCount = min(storeByteCount, outgoing.ringByteCount / 4)
        // SAFETY: whoever makes this keeps the elements.
        unsafe self.ring = outgoing.ringBase
        unsafe self.producerWord = outgoing.producerWord
        unsafe self.tailTag = outgoing.tailTag
        unsafe self.tail = outgoing.tail
        unsafe self.consumerWord = own.consumerWord
        unsafe self.stateWord = own.stateWord
        self.stopBits = stopBits
        self.limit = Atomic(UInt64(outgoing.ringByteCount))
    }

    // MARK: One user at a time

    @inline(__always)
    func begin() -> Bool {
        guard !self.isInUse.load(ordering: .acquiring) else { return false }
        self.isInUse.store(true, ordering: .relaxed)
        return true
    }

    @inline(__always)
    func end() {
        self.isInUse.store(false, ordering: .releasing)
    }

    // MARK: Trouble

    /// Neither we nor the peer have ended this direction.
    @inline(__always)
    var mayProceed: Bool {
        // SYNC(element-state): pairs with `BufferElement.publishState`.
        let state = unsafe self.stateWord.pointee.load(ordering: .acquiring)
        return !self.isStopped.load(ordering: .acquiring) && state & self.stopBits == 0
    }

    // MARK: Room

    /// How far we have sent.
    var cursor: UInt64 { self.produced.load(ordering: .relaxed) }

    /// Bytes that there is room for; looks at what the peer says only when less than `wanted` is known of.
    ///
    /// - Returns: nil when the peer's cursor lies.
    @inline(__always)
    func room(wanting wanted: Int) -> Int? {
        let known = self.limit.load(ordering: .relaxed) &- self.produced.load(ordering: .relaxed)
        if known >= UInt64(wanted), known <= UInt64(self.ringByteCount) { return Int(known) }
        return self.lookForRoom()
    }

    private func lookForRoom() -> Int? {
        let produced = self.produced.load(ordering: .relaxed)
        // SYNC(element-space): pairs with `BufferElement.publishConsumer`.
        let consumer = unsafe self.consumerWord.pointee.load(ordering: .acquiring) >> Sleepers.bitCount
        guard
            let room = CursorBounds.writable(
                consumer: consumer, produced: produced, ringByteCount: self.ringByteCount)
        else { return nil }
        self.limit.store(consumer &+ UInt64(self.ringByteCount), ordering: .relaxed)
        return room
    }

    /// There may be more room than ``room(wanting:)`` told.
    @inline(__always)
    var hasNews: Bool {
        let consumer = unsafe self.consumerWord.pointee.load(ordering: .relaxed) >> Sleepers.bitCount
        return consumer &+ UInt64(self.ringByteCount) != self.limit.load(ordering: .relaxed)
    }

    /// The consumer cursor that ``room(wanting:)`` went by when it last looked.
    var seenConsumer: UInt64 { self.limit.load(ordering: .relaxed) &- UInt64(self.ringByteCount) }

    // MARK: Bytes

    /// Where the next bytes go; the whole ring lies in one piece from here.
    @unsafe @inline(__always)
    var place: UnsafeMutableRawPointer {
        let offset = self.produced.load(ordering: .relaxed) & UInt64(self.ringByteCount - 1)
        // SAFETY: the offset is below the ring's size, and the ring is mapped twice.
        return unsafe self.ring + Int(truncatingIfNeeded: offset)
    }

    /// Copies bytes to where the next ones go, and tells nobody yet.
    ///
    /// - Safety: `count` is 1 to ``storeByteCount``, and that many bytes lie at `source`.
    @unsafe @inline(__always)
    func write(_ source: UnsafeRawPointer, _ count: Int) {
        // SAFETY: as promised; the place has room for the whole ring.
        if count <= BufferElementLayout.tailByteCount {
            unsafe SmallCopy.copy(count, from: source, to: self.place)
        } else {
            unsafe self.place.copyMemory(from: source, byteCount: count)
        }
    }

    /// Publishes the next `count` bytes, which lie in the ring, to a peer on this CEC; a few of them travel in the line
    /// of the producer word as well.
    ///
    /// SYNC(element-tail): pairs with `ElementReceiver`; the tag changes before the bytes of the tail do, and those
    /// before the producer word.
    /// - Parameter source: the same bytes once more.
    /// - Returns: who must be woken by ``wake(_:)``.
    @unsafe @inline(__always)
    func publish(_ source: UnsafeRawPointer, _ count: Int) -> Sleepers {
        let begin = self.produced.load(ordering: .relaxed)
        let end = begin &+ UInt64(count)
        if count <= BufferElementLayout.tailByteCount {
            unsafe self.tailTag.pointee.store(begin &+ 1, ordering: .relaxed)
            atomicMemoryFence(ordering: .releasing)
            // SAFETY: at most as many bytes as the tail has.
            unsafe SmallCopy.copy(count, from: source, to: self.tail)
        }
        self.produced.store(end, ordering: .relaxed)
        #if DEBUG  // Else even the empty calls keep this function from being inlined in other modules.
            FaultPoint.reach("publish", end)
            defer { FaultPoint.reach("published", end) }
        #endif
        return unsafe BufferElement.publish(self.producerWord, end)
    }

    /// Takes as many bytes as there is room for and publishes them: the whole hot path towards a peer on this CEC.
    ///
    /// - Safety: the caller vouches for the bytes.
    @unsafe
    func send(_ bytes: UnsafeRawBufferPointer) -> ElementSender.Outcome {
        guard self.mayProceed else { return ElementSender.Outcome(count: ElementSender.stopped, sleepers: .none) }
        let wanted = min(bytes.count, self.storeByteCount)
        guard let room = self.room(wanting: wanted) else {
            return ElementSender.Outcome(count: ElementSender.violation, sleepers: .none)
        }
        let count = min(room, wanted)
        guard count > 0, let source = bytes.baseAddress else { return ElementSender.Outcome(count: 0, sleepers: .none) }
        // SAFETY: `count` bytes are there, and as many of the ring are free, as the checked cursor says.
        unsafe self.write(source, count)
        return ElementSender.Outcome(count: count, sleepers: unsafe self.publish(source, count))
    }

    /// Notes that the next `count` bytes are written, for a medium that publishes in another way.
    ///
    /// - Returns: our cursor.
    func advance(_ count: Int) -> UInt64 {
        let end = self.produced.load(ordering: .relaxed) &+ UInt64(count)
        self.produced.store(end, ordering: .relaxed)
        return end
    }
}
