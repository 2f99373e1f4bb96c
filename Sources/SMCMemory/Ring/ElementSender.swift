internal import Synchronization

/// The sending end of one direction: our cursor, what we know of the peer's, and the words that we store into.
///
/// All that the hot path touches, without allocations, locks, or counts of references. Nothing traps and nothing leaves
/// the ring, whatever the peer writes, and even if two threads use it at once, which ``begin()`` is there to notice.
@safe
package final class ElementSender: @unchecked Sendable {
    // Sendable: pointers never change; what does change is atomic. The ring's bytes belong to one sender at a time.

    // Neighbours in memory are written by other threads.
    private let front = InlineArray<16, UInt64>(repeating: 0)
    /// Bytes of the ring.
    package let ringByteCount: Int
    /// Bytes that one store publishes at most.
    package let storeByteCount: Int
    private let outgoing: BufferElement
    private let own: BufferElement
    private let ring: UnsafeMutableRawPointer
    private let producerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let tailTag: UnsafeMutablePointer<Atomic<UInt64>>
    private let tail: UnsafeMutableRawPointer
    private let consumerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let stateWord: UnsafeMutablePointer<Atomic<UInt32>>
    private let stopBits: UInt32

    private let isStopped = Atomic<Bool>(false)
    private let isInUse = Atomic<Bool>(false)
    private let produced = Atomic<UInt64>(0)
    /// How far we may produce, as far as we know.
    private let limit: Atomic<UInt64>
    private let back = InlineArray<16, UInt64>(repeating: 0)

    /// - Parameters:
    ///   - own: our element, where the peer tells what it has read, and that it closes.
    ///   - outgoing: what we write into.
    ///   - stopBits: bits of the state word after which the peer takes nothing.
    package init(own: BufferElement, outgoing: BufferElement, storeByteCount: Int, stopBits: UInt32) {
        self.ringByteCount = outgoing.ringByteCount
        self.storeByteCount = min(storeByteCount, outgoing.ringByteCount / 4)
        self.outgoing = outgoing
        self.own = own
        // SAFETY: the elements keep what the pointers point to.
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

    /// Notes that somebody sends; false when somebody does already.
    ///
    /// A look and a store, not one atomic change: two that begin within the same few nanoseconds may both pass, and mix
    /// their bytes. That is their mistake, costs them their stream and nobody any memory, and is found in all other
    /// cases.
    @inline(__always)
    package func begin() -> Bool {
        guard !self.isInUse.load(ordering: .acquiring) else { return false }
        self.isInUse.store(true, ordering: .relaxed)
        return true
    }

    @inline(__always)
    package func end() {
        self.isInUse.store(false, ordering: .releasing)
    }

    /// Somebody sends at this moment.
    package var isBusy: Bool { self.isInUse.load(ordering: .acquiring) }

    // MARK: Trouble

    /// From now on ``mayProceed`` is false.
    package func stop() { self.isStopped.store(true, ordering: .releasing) }

    /// Neither we nor the peer have ended this direction.
    @inline(__always)
    package var mayProceed: Bool {
        // SYNC(element-state): pairs with `BufferElement.publishState`.
        let state = unsafe self.stateWord.pointee.load(ordering: .acquiring)
        return !self.isStopped.load(ordering: .acquiring) && state & self.stopBits == 0
    }

    // MARK: Room

    /// How far we have sent.
    package var cursor: UInt64 { self.produced.load(ordering: .relaxed) }

    /// Bytes that there is room for; looks at what the peer says only when less than `wanted` is known of.
    ///
    /// - Returns: nil when the peer's cursor lies.
    @inline(__always)
    package func room(wanting wanted: Int) -> Int? {
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
    package var hasNews: Bool {
        let consumer = unsafe self.consumerWord.pointee.load(ordering: .relaxed) >> Sleepers.bitCount
        return consumer &+ UInt64(self.ringByteCount) != self.limit.load(ordering: .relaxed)
    }

    /// The consumer cursor that ``room(wanting:)`` went by when it last looked.
    package var seenConsumer: UInt64 { self.limit.load(ordering: .relaxed) &- UInt64(self.ringByteCount) }

    // MARK: Bytes

    /// Where the next bytes go; the whole ring lies in one piece from here.
    @unsafe @inline(__always)
    package var place: UnsafeMutableRawPointer {
        let offset = self.produced.load(ordering: .relaxed) & UInt64(self.ringByteCount - 1)
        // SAFETY: the offset is below the ring's size, and the ring is mapped twice.
        return unsafe self.ring + Int(truncatingIfNeeded: offset)
    }

    /// Copies bytes to where the next ones go, and tells nobody yet.
    ///
    /// - Safety: `count` is 1 to ``storeByteCount``, and that many bytes lie at `source`.
    @unsafe @inline(__always)
    package func write(_ source: UnsafeRawPointer, _ count: Int) {
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
    package func publish(_ source: UnsafeRawPointer, _ count: Int) -> Sleepers {
        let begin = self.produced.load(ordering: .relaxed)
        let end = begin &+ UInt64(count)
        if count <= BufferElementLayout.tailByteCount {
            unsafe self.tailTag.pointee.store(begin &+ 1, ordering: .relaxed)
            atomicMemoryFence(ordering: .releasing)
            // SAFETY: at most as many bytes as the tail has.
            unsafe SmallCopy.copy(count, from: source, to: self.tail)
        }
        self.produced.store(end, ordering: .relaxed)
        return unsafe BufferElement.publish(self.producerWord, end)
    }

    /// What ``send(_:)`` did.
    package struct Outcome {
        /// Bytes taken, or what is wrong.
        package var count: Int
        /// Who must be woken by ``wake(_:)``.
        package var sleepers: Sleepers

        /// Somebody has ended this direction.
        package static let stopped = -1
        /// The peer's cursor lies.
        package static let violation = -2
    }

    /// Takes as many bytes as there is room for and publishes them: the whole hot path towards a peer on this CEC.
    ///
    /// - Safety: the caller vouches for the bytes.
    @unsafe
    package func send(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard self.mayProceed else { return Outcome(count: Outcome.stopped, sleepers: []) }
        let wanted = min(bytes.count, self.storeByteCount)
        guard let room = self.room(wanting: wanted) else { return Outcome(count: Outcome.violation, sleepers: []) }
        let count = min(room, wanted)
        guard count > 0, let source = bytes.baseAddress else { return Outcome(count: 0, sleepers: []) }
        // SAFETY: `count` bytes are there, and as many of the ring are free, as the checked cursor says.
        unsafe self.write(source, count)
        return Outcome(count: count, sleepers: unsafe self.publish(source, count))
    }

    /// Notes that the next `count` bytes are written, for a medium that publishes in another way.
    ///
    /// - Returns: our cursor.
    package func advance(_ count: Int) -> UInt64 {
        let end = self.produced.load(ordering: .relaxed) &+ UInt64(count)
        self.produced.store(end, ordering: .relaxed)
        return end
    }

    /// Wakes a thread that sleeps on the word, unless it waits for more.
    ///
    /// - Returns: who else must be woken.
    package func wake(_ sleepers: Sleepers) -> Sleepers {
        let due = self.outgoing.keepAsleep(sleepers, at: self.cursor)
        if due.contains(.thread) { self.outgoing.wakeProducerSleeper() }
        return due
    }
}
