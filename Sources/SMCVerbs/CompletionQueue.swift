internal import CIBVerbs
internal import SMCSystem

/// Where armed completion queues ring, as a descriptor for epoll.
@safe
package final class CompletionChannel: @unchecked Sendable {
    // SAFETY: not nil, valid until deinit; completion queues hold this object. libibverbs may be called from any thread.
    let raw: UnsafeMutablePointer<ibv_comp_channel>
    /// Kept alive: the channel belongs to it.
    package let device: DeviceContext

    package init(_ device: DeviceContext) throws(VerbsError) {
        unsafe self.raw = try checkPointer("ibv_create_comp_channel", unsafe ibv_create_comp_channel(device.raw))
        self.device = device
        let descriptor = unsafe self.raw.pointee.fd
        try describing { () throws(SystemCallError) in try RawDescriptor.setNonBlocking(descriptor) }
    }

    deinit {
        _ = unsafe ibv_destroy_comp_channel(self.raw)
    }

    /// Readable when an armed queue got a completion. Belongs to this object.
    package var descriptor: Int32 { unsafe self.raw.pointee.fd }

    /// The tag of the next queue that rang, or nil when none did. Never blocks.
    ///
    /// The queue is disarmed then: arm it, and poll once more afterwards. The event is acknowledged here.
    package func nextEvent() throws(VerbsError) -> UInt? {
        var queue: UnsafeMutablePointer<ibv_cq>?
        var context: UnsafeMutableRawPointer?
        guard unsafe ibv_get_cq_event(self.raw, &queue, &context) == 0 else {
            let code = lastErrno()
            if code == Errno.tryAgain { return nil }
            throw VerbsError("ibv_get_cq_event", .errno(code))
        }
        // SAFETY: the queue cannot be destroyed before this event is acknowledged.
        unsafe ibv_ack_cq_events(queue, 1)
        return UInt(bitPattern: context)
    }
}

/// Where the device reports finished work requests.
///
/// Poll from one thread at a time.
@safe
package final class CompletionQueue: @unchecked Sendable {
    // SAFETY: not nil, valid until deinit; queue pairs hold this object. `batch` has room for `Limits.pollBatch` entries
    // and is touched only in `poll`, by one thread at a time.
    let raw: UnsafeMutablePointer<ibv_cq>
    private let batch: UnsafeMutablePointer<ibv_wc>
    /// Kept alive: the queue rings there.
    package let channel: CompletionChannel
    /// How many completions it holds; more of them lose the queue.
    package let capacity: Int
    /// What `CompletionChannel.nextEvent` calls this queue.
    package let tag: UInt

    /// - Parameter capacity: completions that may wait; the device may give more.
    package init(_ channel: CompletionChannel, capacity: Int, tag: UInt = 0) throws(VerbsError) {
        // The tag only travels through the library as an address; nobody follows it.
        let context = unsafe UnsafeMutableRawPointer(bitPattern: tag)
        let raw = try unsafe checkPointer(
            "ibv_create_cq",
            unsafe ibv_create_cq(channel.device.raw, Int32(clamping: capacity), context, channel.raw, 0))
        unsafe self.raw = raw
        unsafe self.batch = .allocate(capacity: Limits.pollBatch)
        unsafe self.batch.initialize(repeating: ibv_wc(), count: Limits.pollBatch)
        self.channel = channel
        self.capacity = Int(unsafe raw.pointee.cqe)
        self.tag = tag
    }

    deinit {
        _ = unsafe ibv_destroy_cq(self.raw)
        unsafe self.batch.deallocate()
    }

    /// Hands at most `Limits.pollBatch` completions to `body` and says how many. Never blocks, does not allocate.
    package func poll(_ body: (WorkCompletion) -> Void) throws(VerbsError) -> Int {
        let count = unsafe ibv_poll_cq(self.raw, Int32(Limits.pollBatch), self.batch)
        guard count >= 0 else { throw VerbsError("ibv_poll_cq", .errno(-count)) }
        for index in 0..<Int(count) {
            body(unsafe WorkCompletion(self.batch[index]))
        }
        return Int(count)
    }

    /// Makes the next completion ring the channel. Poll once more afterwards: what came before does not ring.
    ///
    /// - Parameter solicitedOnly: only failures and messages that the peer sent as solicited ring.
    package func arm(solicitedOnly: Bool = false) throws(VerbsError) {
        try check("ibv_req_notify_cq", unsafe ibv_req_notify_cq(self.raw, solicitedOnly ? 1 : 0))
    }
}

extension WorkCompletion {
    init(_ raw: ibv_wc) {
        let isSuccess = raw.status == IBV_WC_SUCCESS
        let flags = raw.wc_flags
        let hasImmediate = isSuccess && flags & UInt32(IBV_WC_WITH_IMM.rawValue) != 0
        let kind: Kind =
            switch raw.opcode {
            case IBV_WC_SEND: .send
            case IBV_WC_RDMA_WRITE: .write
            case IBV_WC_RECV: .receive
            case IBV_WC_RECV_RDMA_WITH_IMM: .receiveWriteWithImmediate
            default: .other
            }
        self.init(
            id: raw.wr_id, kind: isSuccess ? kind : nil,
            status: Status(rawValue: raw.status.rawValue) ?? .general,
            byteCount: isSuccess ? raw.byte_len : 0,
            immediate: hasImmediate ? UInt32(bigEndian: raw.imm_data) : nil,
            queuePairNumber: raw.qp_num)
    }
}
