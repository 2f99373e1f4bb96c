internal import SMCSystem
internal import Synchronization

/// The sending end of one direction, as transports hold it: a handle, so that no reference is counted on the way.
@safe
package struct ElementSender: @unchecked Sendable {
    // Sendable: what the state changes is atomic. The ring's bytes belong to one sender at a time.
    private let state: UnsafeMutablePointer<SenderState>

    /// - Parameters:
    ///   - own: our element, where the peer tells what it has read, and that it closes.
    ///   - outgoing: what we write into.
    ///   - stopBits: bits of the state word after which the peer takes nothing.
    /// - Safety: the caller keeps both elements, and calls ``deallocate()`` when nobody uses this any more.
    @unsafe
    package init(own: BufferElement, outgoing: BufferElement, storeByteCount: Int, stopBits: UInt32) {
        unsafe self.state = CacheLines.allocate()
        unsafe self.state.initialize(
            to: SenderState(own: own, outgoing: outgoing, storeByteCount: storeByteCount, stopBits: stopBits))
    }

    /// - Safety: nobody uses this any more.
    @unsafe
    package func deallocate() {
        unsafe self.state.deinitialize(count: 1)
        unsafe self.state.deallocate()
    }

    /// What sending did.
    package struct Outcome {
        /// Bytes taken, or what is wrong.
        package var count: Int
        /// Who must be woken.
        package var sleepers: Sleepers
    }
    /// Somebody has ended this direction.
    package static let stopped = -1
    /// The peer's cursor lies.
    package static let violation = -2
    /// Somebody else sends.
    package static let inUse = -3

    /// Bytes of the ring.
    package var ringByteCount: Int { unsafe self.state.pointee.ringByteCount }
    /// Bytes that one store publishes at most.
    package var storeByteCount: Int { unsafe self.state.pointee.storeByteCount }
    /// How far we have sent.
    package var cursor: UInt64 { unsafe self.state.pointee.cursor }

    /// Notes that somebody sends; false when somebody does already.
    ///
    /// A look and a store, not one atomic change: two that begin within the same few nanoseconds may both pass, and mix
    /// their bytes. That is their mistake, costs them their stream and nobody any memory, and is found in all other
    /// cases.
    package func begin() -> Bool { unsafe self.state.pointee.begin() }

    /// Lets the next one send.
    package func end() { unsafe self.state.pointee.end() }

    /// From now on ``mayProceed`` is false.
    package func stop() { unsafe self.state.pointee.isStopped.store(true, ordering: .sequentiallyConsistent) }

    /// Neither we nor the peer have ended this direction.
    package var mayProceed: Bool { unsafe self.state.pointee.mayProceed }

    /// Sends all bytes, if that can be done at once: the whole hot path, in one call.
    ///
    /// - Returns: what was done. If that is not all, or somebody must be woken, the caller is taken to have begun, and
    ///   goes on from there; else, and when the code is ``inUse``, it has not.
    /// - Safety: the caller vouches for the bytes.
    @unsafe
    package func sendAtOnce(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        guard unsafe self.state.pointee.begin() else { return Outcome(count: Self.inUse, sleepers: .none) }
        let outcome = unsafe self.state.pointee.send(bytes)
        if outcome.count == bytes.count, outcome.sleepers.isEmpty { unsafe self.state.pointee.end() }
        return outcome
    }

    /// Takes as many bytes as there is room for and publishes them to a peer on this CEC.
    ///
    /// - Safety: the caller has begun, and vouches for the bytes.
    @unsafe
    package func send(_ bytes: UnsafeRawBufferPointer) -> Outcome { unsafe self.state.pointee.send(bytes) }

    /// Bytes that there is room for; looks at what the peer says only when less than `wanted` is known of.
    ///
    /// - Returns: nil when the peer's cursor lies.
    package func room(wanting wanted: Int) -> Int? { unsafe self.state.pointee.room(wanting: wanted) }

    /// There may be more room than ``room(wanting:)`` told.
    @inline(__always)
    package var hasNews: Bool { unsafe self.state.pointee.hasNews }

    /// Looks up to `looks` times whether there may be.
    package func pollForNews(looks: Int) -> Bool {
        for _ in 0..<looks {
            if unsafe self.state.pointee.hasNews { return true }
            Processor.pause()
        }
        return false
    }

    /// The consumer cursor that ``room(wanting:)`` went by when it last looked.
    package var seenConsumer: UInt64 { unsafe self.state.pointee.seenConsumer }

    /// Where the next bytes go; the whole ring lies in one piece from here.
    @unsafe
    package var place: UnsafeMutableRawPointer { unsafe self.state.pointee.place }

    /// Copies bytes to where the next ones go, and tells nobody yet.
    ///
    /// - Safety: `count` is 1 to ``storeByteCount``, and that many bytes lie at `source`.
    @unsafe
    package func write(_ source: UnsafeRawPointer, _ count: Int) { unsafe self.state.pointee.write(source, count) }

    /// Publishes the next `count` bytes, which lie in the ring, to a peer on this CEC.
    ///
    /// - Returns: who must be woken.
    package func publishPlaced(_ count: Int) -> Sleepers {
        // SAFETY: the bytes lie where they were placed.
        unsafe self.state.pointee.publish(self.state.pointee.place, count)
    }

    /// Notes that the next `count` bytes are written, for a medium that publishes in another way.
    ///
    /// - Returns: our cursor.
    package func advance(_ count: Int) -> UInt64 { unsafe self.state.pointee.advance(count) }
}

/// Memory for what one thread uses all the time and no other should disturb.
enum CacheLines {
    /// Whole pairs of lines for one value.
    @unsafe
    static func allocate<Value: ~Copyable>() -> UnsafeMutablePointer<Value> {
        let byteCount = (MemoryLayout<Value>.size + 127) / 128 * 128
        return unsafe UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 128)
            .bindMemory(to: Value.self, capacity: 1)
    }
}
