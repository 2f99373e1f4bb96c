internal import SMCSystem
internal import Synchronization

/// The receiving end of one direction, as transports hold it: a handle, so that no reference is counted on the way.
@safe
package struct ElementReceiver: @unchecked Sendable {
    // Sendable: what the state changes is atomic. The ring is read by one receiver at a time.
    private let state: UnsafeMutablePointer<ReceiverState>

    /// - Parameters:
    ///   - own: our element, from whose ring we read.
    ///   - outgoing: the peer's element, where we tell it how far we have read.
    /// - Safety: the caller keeps both elements, and calls ``deallocate()`` when nobody uses this any more.
    @unsafe
    package init(own: BufferElement, outgoing: BufferElement, storeByteCount: Int) {
        unsafe self.state = CacheLines.allocate()
        unsafe self.state.initialize(
            to: ReceiverState(own: own, outgoing: outgoing, storeByteCount: storeByteCount))
    }

    /// - Safety: nobody uses this any more.
    @unsafe
    package func deallocate() {
        unsafe self.state.deinitialize(count: 1)
        unsafe self.state.deallocate()
    }

    /// What receiving did.
    package struct Outcome {
        /// Bytes brought, or what is wrong.
        package var count: Int
        /// So much was read that the peer must be told.
        package var mustTell: Bool
    }
    /// Nothing waits, or less than was asked for.
    package static let nothing = 0
    /// We have closed.
    package static let stopped = -1
    /// The peer's cursor lies.
    package static let violation = -2
    /// Somebody else receives.
    package static let inUse = -3

    /// Bytes of the ring.
    package var ringByteCount: Int { unsafe self.state.pointee.ringByteCount }
    /// How far we have read.
    package var cursor: UInt64 { unsafe self.state.pointee.cursor }
    /// How far the peer had written when we last looked.
    package var seenProducer: UInt64 { unsafe self.state.pointee.seenProducer }

    /// Notes that somebody receives; false when somebody does already. As ``ElementSender/begin()``.
    package func begin() -> Bool { unsafe self.state.pointee.begin() }

    /// Lets the next one receive.
    package func end() { unsafe self.state.pointee.end() }

    /// From now on ``isOpen`` is false.
    package func stop() { unsafe self.state.pointee.isStopped.store(true, ordering: .sequentiallyConsistent) }

    /// We have not closed.
    package var isOpen: Bool { unsafe self.state.pointee.isOpen }

    /// Nothing but bytes can come: neither we nor the peer have ended anything.
    package var isQuiet: Bool { unsafe self.state.pointee.isQuiet }

    /// Receives, if that can be done now or within some looks: the whole hot path, in one call.
    ///
    /// - Returns: what was done. If that is no byte, or the peer must be told, the caller is taken to have begun, and
    ///   goes on from there; else, and when the code is ``inUse``, it has not.
    /// - Safety: the caller vouches for the buffer, which has room for a byte.
    @unsafe
    package func receiveAtOnce(into buffer: UnsafeMutableRawBufferPointer, looks: Int) -> Outcome {
        guard unsafe self.state.pointee.begin() else { return Outcome(count: Self.inUse, mustTell: false) }
        var left = looks
        while true {
            let outcome = unsafe self.state.pointee.receive(into: buffer)
            if outcome.count > 0 {
                if !outcome.mustTell { unsafe self.state.pointee.end() }
                return outcome
            }
            guard outcome.count == Self.nothing, left > 0 else { return outcome }
            while left > 0, unsafe !self.state.pointee.hasNews(of: 1) {
                Processor.pause()
                left &-= 1
            }
        }
    }

    /// Copies as many bytes as wait and fit.
    ///
    /// - Safety: the caller has begun, and vouches for the buffer, which has room for a byte.
    @unsafe
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        unsafe self.state.pointee.receive(into: buffer)
    }

    /// All that waits, in one piece, if that is `atLeast` bytes: in the ring, or, if it came with the producer word, in
    /// memory of our own.
    ///
    /// - Returns: no bytes, and the outcome's code, when there is less.
    @unsafe
    package func peek(atLeast: Int) -> (bytes: UnsafeRawBufferPointer?, code: Int) {
        unsafe self.state.pointee.peek(atLeast: atLeast)
    }

    /// Bytes that are known to wait; anything outside of 1 to the ring's size is none.
    package var knownCount: Int { unsafe self.state.pointee.knownCount }

    /// Looks at the producer word.
    ///
    /// - Returns: bytes that wait; nil when the peer's cursor lies.
    package func look() -> Int? { unsafe self.state.pointee.look() }

    /// At least `count` bytes wait, or the peer's cursor lies.
    package func hasNews(of count: Int) -> Bool { unsafe self.state.pointee.hasNews(of: count) }

    /// Looks up to `looks` times whether at least `count` bytes wait.
    package func pollForNews(of count: Int, looks: Int) -> Bool {
        for _ in 0..<looks {
            if unsafe self.state.pointee.hasNews(of: count) { return true }
            Processor.pause()
        }
        return false
    }

    /// Notes that `count` bytes more are read.
    ///
    /// - Returns: whether so many were read that the peer must be told.
    package func advance(_ count: Int) -> Bool { unsafe self.state.pointee.advance(count) }

    /// Notes that the peer is told by another way than ``publish()``.
    ///
    /// - Returns: our cursor.
    package func markTold() -> UInt64 { unsafe self.state.pointee.markTold() }

    /// There is something read of which the peer does not know.
    package var hasUntold: Bool { unsafe self.state.pointee.hasUntold }

    /// Tells a peer on this CEC how far we have read.
    ///
    /// - Returns: who must be woken.
    package func publish() -> Sleepers { unsafe self.state.pointee.publish() }
}
