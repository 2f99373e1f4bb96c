/// What a cursor that a peer wrote can be at all. Cursors are monotonic byte counts.
///
/// `SMC_UNCHECKED_FOR_BENCHMARK` leaves the checks out, so that their cost can be measured. Nothing but `make bench` sets
/// it, for programs that it builds and runs itself; no package option and no configuration does.
package enum CursorBounds {
    /// Bytes that wait to be read, or nil when the producer cursor lies.
    ///
    /// - Parameter consumed: how far we have read; the cursor must be between it and one ring further on.
    @inline(__always)
    package static func readable(producer: UInt64, consumed: UInt64, ringByteCount: Int) -> Int? {
        let count = producer &- consumed
        #if SMC_UNCHECKED_FOR_BENCHMARK
            return Int(truncatingIfNeeded: count)
        #else
            return count <= UInt64(ringByteCount) ? Int(count) : nil
        #endif
    }

    /// Bytes that may be written, or nil when the consumer cursor lies.
    ///
    /// - Parameter produced: how far we have written; the cursor must be between one ring before it and it.
    @inline(__always)
    package static func writable(consumer: UInt64, produced: UInt64, ringByteCount: Int) -> Int? {
        let unread = produced &- consumer
        #if SMC_UNCHECKED_FOR_BENCHMARK
            return ringByteCount &- Int(truncatingIfNeeded: unread)
        #else
            return unread <= UInt64(ringByteCount) ? ringByteCount - Int(unread) : nil
        #endif
    }
}
