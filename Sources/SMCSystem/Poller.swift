internal import CSMCShims
internal import Glibc

/// Waits for many descriptors at once (epoll(7)), level-triggered. All calls may come from any thread.
package struct Poller: ~Copyable, Sendable {
    /// What a descriptor is watched for, or what happened to it.
    package struct Events: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Bytes (or a connection, or the end) can be read.
        package static let readable = Events(rawValue: UInt32(EPOLLIN.rawValue))
        /// Bytes can be written.
        package static let writable = Events(rawValue: UInt32(EPOLLOUT.rawValue))
        /// The peer will send no more.
        package static let peerClosed = Events(rawValue: UInt32(EPOLLRDHUP.rawValue))
        /// Both directions are over; always watched for.
        package static let hungUp = Events(rawValue: UInt32(EPOLLHUP.rawValue))
        /// An error is pending; always watched for.
        package static let failed = Events(rawValue: UInt32(EPOLLERR.rawValue))
    }

    /// One thing that happened.
    package struct Occurrence: Sendable {
        /// The number given when the descriptor was added.
        package var key: UInt64
        package var events: Events
    }

    private let descriptor: OwnedDescriptor

    package init() throws(SystemCallError) {
        self.descriptor = OwnedDescriptor(
            adopting: try retrying("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    package borrowing func add(_ descriptor: Int32, for events: Events, key: UInt64) throws(SystemCallError) {
        try self.control(EPOLL_CTL_ADD, descriptor, events, key)
    }

    package borrowing func modify(_ descriptor: Int32, for events: Events, key: UInt64) throws(SystemCallError) {
        try self.control(EPOLL_CTL_MOD, descriptor, events, key)
    }

    package borrowing func remove(_ descriptor: Int32) throws(SystemCallError) {
        try self.control(EPOLL_CTL_DEL, descriptor, [], 0)
    }

    private borrowing func control(
        _ operation: Int32, _ watched: Int32, _ events: Events, _ key: UInt64
    ) throws(SystemCallError) {
        var event = unsafe epoll_event(events: events.rawValue, data: epoll_data_t(u64: key))
        let number = self.descriptor.rawValue
        // SAFETY: the struct is ours and is copied by the call.
        _ = try retrying("epoll_ctl") { unsafe epoll_ctl(number, operation, watched, &event) }
    }

    /// Waits until something happens or the time is over, and replaces the contents of `occurrences`.
    ///
    /// - Parameter timeoutMilliseconds: -1 waits without limit.
    package borrowing func wait(
        timeoutMilliseconds: Int32, into occurrences: inout [Occurrence]
    ) throws(SystemCallError) {
        occurrences.removeAll(keepingCapacity: true)
        let number = self.descriptor.rawValue
        let capacity = 64
        do {
            // SAFETY: the kernel writes at most `capacity` elements; only those that it counted are read.
            try unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: capacity) { buffer in
                let count = try retrying("epoll_wait") {
                    unsafe epoll_wait(number, buffer.baseAddress, Int32(capacity), timeoutMilliseconds)
                }
                for index in 0..<Int(count) {
                    let event = unsafe buffer[index]
                    let happened = unsafe Occurrence(key: event.data.u64, events: Events(rawValue: event.events))
                    occurrences.append(happened)
                }
            }
        } catch let error as SystemCallError {
            throw error
        } catch {
            fatalError("only SystemCallError is thrown above")
        }
    }
}
