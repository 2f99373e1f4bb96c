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
    private let ringBase: UnsafeMutableRawPointer
    private let producerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let consumerWord: UnsafeMutablePointer<Atomic<UInt64>>
    private let stateWord: UnsafeMutablePointer<Atomic<UInt32>>

    /// Views part of one or two mappings as an element.
    ///
    /// Traps when the parts do not lie in the mappings: their places are ours to choose, never a peer's.
    package init(
        control: Mapping, controlOffset: Int = 0, ring: Mapping, ringOffset: Int, ringByteCount: Int
    ) {
        precondition(BufferElementLayout.isValid(ringByteCount: ringByteCount), "no size for a ring")
        precondition(controlOffset >= 0 && controlOffset % 128 == 0)
        precondition(controlOffset + BufferElementLayout.stateWordOffset + 128 <= control.byteCount)
        precondition(ringOffset >= 0 && ringOffset + ringByteCount <= ring.byteCount)
        self.ringByteCount = ringByteCount
        self.control = control
        self.ring = ring
        // SAFETY: the preconditions put all of this inside of the mappings, which live as long as this object. A fresh
        // mapping is zero, which is a valid Atomic(0); the words are aligned to their size.
        unsafe self.controlBase = control.baseAddress + controlOffset
        unsafe self.ringBase = ring.baseAddress + ringOffset
        let base = unsafe self.controlBase
        unsafe self.producerWord = (base + BufferElementLayout.producerWordOffset)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
        unsafe self.consumerWord = (base + BufferElementLayout.consumerWordOffset)
            .assumingMemoryBound(to: Atomic<UInt64>.self)
        unsafe self.stateWord = (base + BufferElementLayout.stateWordOffset)
            .assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// Views a whole mapped SMB as an element: the control page, then the ring.
    package convenience init(sharedMemory: Mapping, ringByteCount: Int) {
        self.init(
            control: sharedMemory, ring: sharedMemory, ringOffset: BufferElementLayout.controlByteCount,
            ringByteCount: ringByteCount)
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

    // MARK: Cursors. A word is `cursor << 1 | asleep`.

    /// SYNC(element-data): pairs with ``publishProducer(_:)``; ring bytes below the cursor are visible.
    @inline(__always)
    package var producer: UInt64 {
        unsafe self.producerWord.pointee.load(ordering: .acquiring) >> 1
    }

    /// SYNC(element-space): pairs with ``publishConsumer(_:)``; the peer has done with ring bytes below the cursor.
    @inline(__always)
    package var consumer: UInt64 {
        unsafe self.consumerWord.pointee.load(ordering: .acquiring) >> 1
    }

    /// Publishes how far the ring is filled (SM CS Move, seed A32).
    ///
    /// SYNC(element-data): pairs with ``producer``.
    /// - Returns: whether the owner sleeps and must be signalled; the flag is taken in the same instruction.
    package func publishProducer(_ cursor: UInt64) -> Bool {
        unsafe self.producerWord.pointee.exchange(cursor << 1, ordering: .sequentiallyConsistent) & 1 != 0
    }

    /// Publishes how far the other element's ring has been read.
    ///
    /// SYNC(element-space): pairs with ``consumer``.
    /// - Returns: as ``publishProducer(_:)``.
    package func publishConsumer(_ cursor: UInt64) -> Bool {
        unsafe self.consumerWord.pointee.exchange(cursor << 1, ordering: .sequentiallyConsistent) & 1 != 0
    }

    /// Says that the owner is about to sleep until the producer word changes.
    ///
    /// - Returns: false when the cursor is not `seen` any more: look again instead of sleeping.
    package func armProducer(ifStill seen: UInt64) -> Bool {
        unsafe Self.arm(self.producerWord, seen)
    }

    /// As ``armProducer(ifStill:)`` for the consumer word.
    package func armConsumer(ifStill seen: UInt64) -> Bool {
        unsafe Self.arm(self.consumerWord, seen)
    }

    private static func arm(_ word: UnsafeMutablePointer<Atomic<UInt64>>, _ seen: UInt64) -> Bool {
        let (exchanged, original) = unsafe word.pointee.compareExchange(
            expected: seen << 1, desired: seen << 1 | 1, ordering: .sequentiallyConsistent)
        return exchanged || original == seen << 1 | 1
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
        unsafe self.stateWord.pointee.store(0, ordering: .sequentiallyConsistent)
    }

    // MARK: The ring (SM Move, seed A31)

    /// Copies bytes into the ring from stream position `position` on, around its end if need be.
    ///
    /// - Safety: at most ``ringByteCount`` bytes, all of them free as the consumer cursor says.
    @unsafe
    package func write(_ source: UnsafeRawBufferPointer, at position: UInt64) {
        guard let bytes = source.baseAddress else { return }
        precondition(source.count <= self.ringByteCount)
        let offset = Int(truncatingIfNeeded: position) & (self.ringByteCount - 1)
        let first = min(source.count, self.ringByteCount - offset)
        // SAFETY: both pieces lie in the ring, as offset < ringByteCount and count <= ringByteCount.
        unsafe (self.ringBase + offset).copyMemory(from: bytes, byteCount: first)
        if source.count > first {
            unsafe self.ringBase.copyMemory(from: bytes + first, byteCount: source.count - first)
        }
    }

    /// Copies bytes out of the ring from stream position `position` on.
    ///
    /// - Safety: at most ``ringByteCount`` bytes, all of them filled as the producer cursor says.
    @unsafe
    package func read(into target: UnsafeMutableRawBufferPointer, at position: UInt64) {
        guard let bytes = target.baseAddress else { return }
        precondition(target.count <= self.ringByteCount)
        let offset = Int(truncatingIfNeeded: position) & (self.ringByteCount - 1)
        let first = min(target.count, self.ringByteCount - offset)
        // SAFETY: as in write.
        unsafe bytes.copyMemory(from: self.ringBase + offset, byteCount: first)
        if target.count > first {
            unsafe (bytes + first).copyMemory(from: self.ringBase, byteCount: target.count - first)
        }
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
