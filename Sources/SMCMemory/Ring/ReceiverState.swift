internal import SMCSystem
internal import Synchronization

/// The receiving end of one direction: our cursor, what we know of the peer's, and the words that we store into.
///
/// As ``SenderState``: nothing on the hot path but loads, stores and copies, and nothing leaves the ring.
@safe
struct ReceiverState: ~Copyable {
    let ringByteCount: Int
    let storeByteCount: Int
    private let ring: UnsafeMutableRawPointer
    private let producerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let tailTag: UnsafeMutablePointer<Atomic<UInt64>>
    private let tail: UnsafeMutableRawPointer
    private let stateWord: UnsafeMutablePointer<Atomic<UInt32>>
    private let creditWord: UnsafeMutablePointer<Atomic<UInt64>>

    let isStopped = Atomic<Bool>(false)
    let isInUse = Atomic<Bool>(false)
    let consumed = Atomic<UInt64>(0)
    /// The producer cursor that was last seen, and checked.
    let known = Atomic<UInt64>(0)
    /// How far the peer knows that we have read.
    let told = Atomic<UInt64>(0)
    /// A copy of the tail, to be looked at.
    private let scratch = UnsafeMutableRawPointer.allocate(
        byteCount: BufferElementLayout.tailByteCount, alignment: 64)

    /// - Parameters:
    ///   - own: our element, from whose ring we read.
    ///   - outgoing: the peer's element, where we tell it how far we have read.
    init(own: BufferElement, outgoing: BufferElement, storeByteCount: Int) {
        self.ringByteCount = own.ringByteCount
        self.storeByteCount = min(storeByteCount, own.ringByteCount / 4)
        // SAFETY: whoever makes this keeps the elements.
        unsafe self.ring = own.ringBase
        unsafe self.producerWord = own.producerWord
        unsafe self.tailTag = own.tailTag
        unsafe self.tail = own.tail
        unsafe self.stateWord = own.stateWord
        unsafe self.creditWord = outgoing.consumerWord
    }

    deinit {
        // SAFETY: allocated with the object.
        unsafe self.scratch.deallocate()
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

    /// We have not closed.
    @inline(__always)
    var isOpen: Bool { !self.isStopped.load(ordering: .acquiring) }

    // MARK: What there is

    /// How far we have read.
    var cursor: UInt64 { self.consumed.load(ordering: .acquiring) }

    /// How far the peer had written when we last looked.
    var seenProducer: UInt64 { self.known.load(ordering: .relaxed) }

    /// Bytes that are known to wait; anything outside of 1 to the ring's size is none.
    @inline(__always)
    var knownCount: Int {
        Int(truncatingIfNeeded: self.known.load(ordering: .relaxed) &- self.consumed.load(ordering: .relaxed))
    }

    /// Looks at the producer word.
    ///
    /// SYNC(element-data): pairs with `BufferElement.publishProducer`.
    /// - Returns: bytes that wait; nil when the peer's cursor lies.
    @inline(__always)
    func look() -> Int? {
        let producer = unsafe self.producerWord.pointee.load(ordering: .acquiring) >> Sleepers.bitCount
        let count = CursorBounds.readable(
            producer: producer, consumed: self.consumed.load(ordering: .relaxed), ringByteCount: self.ringByteCount)
        if count != nil { self.known.store(producer, ordering: .relaxed) }
        return count
    }

    /// At least `count` bytes wait, or the peer's cursor lies.
    @inline(__always)
    func hasNews(of count: Int) -> Bool {
        let producer = unsafe self.producerWord.pointee.load(ordering: .relaxed) >> Sleepers.bitCount
        return producer &- self.consumed.load(ordering: .relaxed) >= UInt64(count)
    }

    /// Nothing but bytes can come: neither we nor the peer have ended anything.
    @inline(__always)
    var isQuiet: Bool {
        // SYNC(element-state): pairs with `BufferElement.publishState`.
        unsafe self.stateWord.pointee.load(ordering: .acquiring) == 0 && self.isOpen
    }

    // MARK: Bytes

    /// Copies all bytes that wait, if they came with the producer word itself.
    ///
    /// SYNC(element-tail): pairs with `SenderState.publish`. The tail holds what was published last, and the tag says
    /// where that begins. If it begins where we have read to, and did so before and after copying, the copy is good;
    /// else the bytes are taken from the ring, where all bytes are.
    /// - Safety: `target` has room for ``BufferElementLayout/tailByteCount`` bytes or `count`, which is above 0.
    @unsafe @inline(__always)
    func takeTail(_ count: Int, into target: UnsafeMutableRawPointer) -> Bool {
        let tag = self.consumed.load(ordering: .relaxed) &+ 1
        guard count <= BufferElementLayout.tailByteCount,
            unsafe self.tailTag.pointee.load(ordering: .acquiring) == tag
        else { return false }
        // SAFETY: at most as many bytes as the tail has.
        unsafe SmallCopy.copy(count, from: self.tail, to: target)
        atomicMemoryFence(ordering: .acquiring)
        return unsafe self.tailTag.pointee.load(ordering: .relaxed) == tag
    }

    /// Where the next bytes lie; the whole ring lies in one piece from here.
    @unsafe @inline(__always)
    var place: UnsafeMutableRawPointer {
        let offset = self.consumed.load(ordering: .relaxed) & UInt64(self.ringByteCount - 1)
        // SAFETY: the offset is below the ring's size, and the ring is mapped twice.
        return unsafe self.ring + Int(truncatingIfNeeded: offset)
    }

    /// Copies bytes from the ring.
    ///
    /// - Safety: `target` has room for `count` bytes, which is 1 to ``storeByteCount``.
    @unsafe @inline(__always)
    func read(_ count: Int, into target: UnsafeMutableRawPointer) {
        // SAFETY: as promised; from the place on lies the whole ring.
        if count <= BufferElementLayout.tailByteCount {
            unsafe SmallCopy.copy(count, from: self.place, to: target)
        } else {
            unsafe target.copyMemory(from: self.place, byteCount: count)
        }
    }

    /// Copies as many bytes as wait and fit.
    ///
    /// - Safety: the caller vouches for the buffer, which has room for a byte.
    @unsafe
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> ElementReceiver.Outcome {
        guard let target = buffer.baseAddress, self.isOpen else {
            return ElementReceiver.Outcome(count: ElementReceiver.stopped, mustTell: false)
        }
        var waiting = self.knownCount
        if waiting <= 0 || waiting > self.ringByteCount {
            guard let found = self.look() else {
                return ElementReceiver.Outcome(count: ElementReceiver.violation, mustTell: false)
            }
            guard found > 0 else { return ElementReceiver.Outcome(count: ElementReceiver.nothing, mustTell: false) }
            if found <= buffer.count, unsafe self.takeTail(found, into: target) { return self.took(found) }
            waiting = found
        }
        let count = min(waiting, buffer.count, self.storeByteCount)
        // SAFETY: `count` bytes of the ring are filled, as the checked cursor says, and the buffer has room for them.
        unsafe self.read(count, into: target)
        return self.took(count)
    }

    @inline(__always)
    private func took(_ count: Int) -> ElementReceiver.Outcome {
        // Closed meanwhile: the memory may have been given back under the copy.
        guard self.isOpen else { return ElementReceiver.Outcome(count: ElementReceiver.stopped, mustTell: false) }
        return ElementReceiver.Outcome(count: count, mustTell: self.advance(count))
    }

    /// All that waits, in one piece, if that is `atLeast` bytes: in the ring, or, if it came with the producer word, in
    /// memory of our own.
    ///
    /// - Returns: no bytes, and the outcome's code, when there is less.
    @unsafe
    func peek(atLeast: Int) -> (bytes: UnsafeRawBufferPointer?, code: Int) {
        guard self.isOpen else { return (nil, ElementReceiver.stopped) }
        var waiting = self.knownCount
        if waiting < max(atLeast, 1) || waiting > self.ringByteCount {
            let isEmpty = waiting == 0
            guard let found = self.look() else { return (nil, ElementReceiver.violation) }
            guard found >= max(atLeast, 1) else { return (nil, ElementReceiver.nothing) }
            if isEmpty, unsafe self.takeTail(found, into: self.scratch) {
                return unsafe (UnsafeRawBufferPointer(start: self.scratch, count: found), found)
            }
            waiting = found
        }
        // SAFETY: `waiting` bytes are filled, as the checked cursor says, and lie in one piece.
        return unsafe (UnsafeRawBufferPointer(start: self.place, count: waiting), waiting)
    }

    /// Notes that `count` bytes more are read.
    ///
    /// - Returns: whether so many were read that the peer must be told.
    @inline(__always)
    func advance(_ count: Int) -> Bool {
        let consumed = self.consumed.load(ordering: .relaxed) &+ UInt64(count)
        self.consumed.store(consumed, ordering: .releasing)
        return consumed &- self.told.load(ordering: .relaxed) >= UInt64(self.ringByteCount / 4)
    }

    /// Notes that the peer is told by another way than ``publish()``.
    ///
    /// - Returns: our cursor.
    func markTold() -> UInt64 {
        let consumed = self.consumed.load(ordering: .relaxed)
        self.told.store(consumed, ordering: .relaxed)
        return consumed
    }

    /// There is something read of which the peer does not know.
    var hasUntold: Bool {
        self.consumed.load(ordering: .relaxed) != self.told.load(ordering: .relaxed)
    }

    /// Tells a peer on this CEC how far we have read.
    ///
    /// SYNC(element-space): pairs with `BufferElement.consumer`.
    /// - Returns: who must be woken.
    func publish() -> Sleepers {
        let cursor = self.markTold()
        #if DEBUG
            FaultPoint.reach("consume", cursor)
            defer { FaultPoint.reach("consumed", cursor) }
        #endif
        return unsafe BufferElement.publish(self.creditWord, cursor)
    }
}
