internal import CIBVerbs
internal import SMCSystem
internal import Synchronization

/// One end of a reliable connection: a queue for sends and writes, and one for receives.
///
/// Move it from one thread at a time, post sends from one and receives from one; these may be three. Before the last
/// reference goes, move it to ERROR and take its completions, or they name requests of a queue pair that is no more.
@safe
package final class QueuePair: @unchecked Sendable {
    package struct Capacity: Sendable, Hashable {
        package var sendRequests: Int
        package var receiveRequests: Int
        /// Bytes that a request may carry in itself: a wish; see `inlineMax` for what was granted.
        package var inlineByteCount: Int
        package var receiveSegments: Int

        package init(sendRequests: Int, receiveRequests: Int, inlineByteCount: Int = 0, receiveSegments: Int = 1) {
            self.sendRequests = sendRequests
            self.receiveRequests = receiveRequests
            self.inlineByteCount = inlineByteCount
            self.receiveSegments = receiveSegments
        }
    }

    // SAFETY: not nil, valid until deinit. The scratch memory has the sizes of `Limits`; the send part is touched
    // only while posting sends and the receive part while posting receives, each by one thread at a time.
    let raw: UnsafeMutablePointer<ibv_qp>
    let sendScratch: UnsafeMutablePointer<ibv_send_wr>
    let sendSegments: UnsafeMutablePointer<ibv_sge>
    let receiveSegments: UnsafeMutablePointer<ibv_sge>
    private let current = Mutex(QueuePairState.reset)

    /// Kept alive: the queue pair belongs to them.
    package let domain: ProtectionDomain
    package let sendQueue: CompletionQueue
    package let receiveQueue: CompletionQueue

    /// The 24 bits that the peer must know.
    package let number: UInt32
    /// Bytes that may be sent inline; 0 when the device grants none.
    package let inlineMax: Int

    /// Makes a queue pair in RESET. When the device refuses so many inline bytes it is asked for fewer, down to none.
    package init(
        _ domain: ProtectionDomain, sendQueue: CompletionQueue, receiveQueue: CompletionQueue, capacity: Capacity
    ) throws(VerbsError) {
        precondition(1...Limits.receiveSegmentsMax ~= capacity.receiveSegments, "one or two segments per receive")
        var inlineByteCount = capacity.inlineByteCount
        var attributes = unsafe ibv_qp_init_attr()
        var raw: UnsafeMutablePointer<ibv_qp>?
        while true {
            unsafe attributes = ibv_qp_init_attr()
            unsafe attributes.send_cq = sendQueue.raw
            unsafe attributes.recv_cq = receiveQueue.raw
            unsafe attributes.qp_type = IBV_QPT_RC
            unsafe attributes.cap.max_send_wr = UInt32(capacity.sendRequests)
            unsafe attributes.cap.max_recv_wr = UInt32(capacity.receiveRequests)
            unsafe attributes.cap.max_send_sge = 1
            unsafe attributes.cap.max_recv_sge = UInt32(capacity.receiveSegments)
            unsafe attributes.cap.max_inline_data = UInt32(inlineByteCount)
            unsafe raw = ibv_create_qp(domain.raw, &attributes)
            if unsafe raw != nil || inlineByteCount == 0 { break }
            inlineByteCount /= 2
        }
        let queuePair = try unsafe checkPointer("ibv_create_qp", raw)
        unsafe self.raw = queuePair
        unsafe self.sendScratch = .allocate(capacity: Limits.chainMax)
        unsafe self.sendScratch.initialize(repeating: ibv_send_wr(), count: Limits.chainMax)
        unsafe self.sendSegments = .allocate(capacity: Limits.chainMax)
        unsafe self.sendSegments.initialize(repeating: ibv_sge(), count: Limits.chainMax)
        unsafe self.receiveSegments = .allocate(capacity: Limits.receiveSegmentsMax)
        unsafe self.receiveSegments.initialize(repeating: ibv_sge(), count: Limits.receiveSegmentsMax)
        self.domain = domain
        self.sendQueue = sendQueue
        self.receiveQueue = receiveQueue
        self.number = unsafe queuePair.pointee.qp_num
        self.inlineMax = Int(unsafe attributes.cap.max_inline_data)
    }

    deinit {
        _ = unsafe ibv_destroy_qp(self.raw)
        unsafe self.sendScratch.deallocate()
        unsafe self.sendSegments.deallocate()
        unsafe self.receiveSegments.deallocate()
    }

    /// Where this object last moved the queue pair; the device may have moved it to ERROR since.
    package var state: QueuePairState { self.current.withLock { $0 } }

    /// Where the device says that the queue pair is. Asks the kernel.
    package func queryState() throws(VerbsError) -> QueuePairState {
        var attributes = ibv_qp_attr()
        var initial = unsafe ibv_qp_init_attr()
        let mask = Int32(IBV_QP_STATE.rawValue)
        try check("ibv_query_qp", unsafe ibv_query_qp(self.raw, &attributes, mask, &initial))
        switch attributes.qp_state {
        case IBV_QPS_RESET: return .reset
        case IBV_QPS_INIT: return .initialized
        case IBV_QPS_RTR: return .readyToReceive
        case IBV_QPS_RTS: return .readyToSend
        default: return .error  // ERR, and the draining states SQD and SQE, which this module never asks for.
        }
    }
}

extension QueuePair {
    /// What the peer told about its end, and how packets reach it.
    package struct Peer: Sendable, Hashable {
        package var number: UInt32
        package var gid: GID
        /// The sequence number that the peer's first packet will carry (24 bits).
        package var packetSequenceNumber: UInt32
        /// The smaller of both ends' MTU codes, 1...5.
        package var pathMTU: UInt8

        package init(number: UInt32, gid: GID, packetSequenceNumber: UInt32, pathMTU: UInt8) {
            self.number = number
            self.gid = gid
            self.packetSequenceNumber = packetSequenceNumber
            self.pathMTU = pathMTU
        }
    }

    /// RESET to INIT: receives may be posted from here on.
    package func toInitialized(port: UInt8) throws(VerbsError) {
        var attributes = ibv_qp_attr()
        attributes.pkey_index = 0
        attributes.port_num = port
        attributes.qp_access_flags = IBV_ACCESS_LOCAL_WRITE.rawValue | IBV_ACCESS_REMOTE_WRITE.rawValue
        try self.modify(
            to: .initialized, IBV_QPS_INIT, &attributes, [IBV_QP_PKEY_INDEX, IBV_QP_PORT, IBV_QP_ACCESS_FLAGS])
    }

    /// INIT to RTR. The kernel finds the peer's hardware address, so this may wait for the neighbour's answer.
    ///
    /// - Parameters:
    ///   - gidIndex: this end's entry in the table of `port`.
    ///   - receiverNotReadyTimer: how long a sender shall wait when no receive is posted, as a code (5: 0.06 ms).
    package func toReadyToReceive(
        _ peer: Peer, port: UInt8, gidIndex: UInt8, hopLimit: UInt8 = Limits.hopLimitDefault,
        receiverNotReadyTimer: UInt8 = Limits.receiverNotReadyTimerDefault
    ) throws(VerbsError) {
        try Self.check24Bits(peer.number, "the peer's queue pair number")
        try Self.check24Bits(peer.packetSequenceNumber, "the peer's packet sequence number")
        guard 1...5 ~= peer.pathMTU else {
            throw VerbsError("ibv_modify_qp", .invalidArgument("path MTU code \(peer.pathMTU) is not in 1...5"))
        }
        var attributes = ibv_qp_attr()
        attributes.path_mtu = ibv_mtu(UInt32(peer.pathMTU))
        attributes.dest_qp_num = peer.number
        attributes.rq_psn = peer.packetSequenceNumber
        attributes.max_dest_rd_atomic = 1
        attributes.min_rnr_timer = receiverNotReadyTimer
        attributes.ah_attr.is_global = 1
        attributes.ah_attr.port_num = port
        attributes.ah_attr.grh.dgid = peer.gid.raw
        attributes.ah_attr.grh.sgid_index = gidIndex
        attributes.ah_attr.grh.hop_limit = hopLimit
        try self.modify(
            to: .readyToReceive, IBV_QPS_RTR, &attributes,
            [
                IBV_QP_AV, IBV_QP_PATH_MTU, IBV_QP_DEST_QPN, IBV_QP_RQ_PSN, IBV_QP_MAX_DEST_RD_ATOMIC,
                IBV_QP_MIN_RNR_TIMER,
            ])
    }

    /// RTR to RTS: sends may be posted from here on.
    ///
    /// - Parameters:
    ///   - packetSequenceNumber: what this end's first packet carries: random, 24 bits, known to the peer.
    ///   - timeoutExponent: a packet is repeated after 4.096 µs * 2^timeoutExponent.
    ///   - retryCount: repetitions before the link counts as dead, at most 6: 7 is for ever.
    package func toReadyToSend(
        packetSequenceNumber: UInt32, timeoutExponent: UInt8 = Limits.timeoutExponentDefault,
        retryCount: UInt8 = Limits.retryCountDefault,
        receiverNotReadyRetryCount: UInt8 = Limits.receiverNotReadyRetryCountDefault
    ) throws(VerbsError) {
        try Self.check24Bits(packetSequenceNumber, "the packet sequence number")
        guard retryCount <= Limits.retryCountMax else {
            let text = "retry count \(retryCount) hides a dead peer; at most \(Limits.retryCountMax)"
            throw VerbsError("ibv_modify_qp", .invalidArgument(text))
        }
        guard 1...31 ~= timeoutExponent, receiverNotReadyRetryCount <= 7 else {
            let text =
                "timeout exponent \(timeoutExponent) is not in 1...31, "
                + "or receiver-not-ready retry count \(receiverNotReadyRetryCount) not in 0...7"
            throw VerbsError("ibv_modify_qp", .invalidArgument(text))
        }
        var attributes = ibv_qp_attr()
        attributes.sq_psn = packetSequenceNumber
        attributes.timeout = timeoutExponent
        attributes.retry_cnt = retryCount
        attributes.rnr_retry = receiverNotReadyRetryCount
        attributes.max_rd_atomic = 1
        try self.modify(
            to: .readyToSend, IBV_QPS_RTS, &attributes,
            [IBV_QP_SQ_PSN, IBV_QP_TIMEOUT, IBV_QP_RETRY_CNT, IBV_QP_RNR_RETRY, IBV_QP_MAX_QP_RD_ATOMIC])
    }

    /// To ERROR: everything posted completes as flushed. From RESET there is nothing to flush and the move is refused.
    package func toError() throws(VerbsError) {
        var attributes = ibv_qp_attr()
        try self.modify(to: .error, IBV_QPS_ERR, &attributes, [])
    }

    private func modify(
        to next: QueuePairState, _ state: ibv_qp_state, _ attributes: inout ibv_qp_attr, _ fields: [ibv_qp_attr_mask]
    ) throws(VerbsError) {
        attributes.qp_state = state
        let mask = fields.reduce(IBV_QP_STATE.rawValue) { $0 | $1.rawValue }
        // SAFETY: the call only reads the attributes that the mask names.
        let now = self.state
        try now.checkMove(to: next)
        try check("ibv_modify_qp", unsafe ibv_modify_qp(self.raw, &attributes, Int32(mask)))
        self.current.withLock { $0 = next }
    }

    private static func check24Bits(_ value: UInt32, _ name: String) throws(VerbsError) {
        guard value <= Limits.numberMax else {
            throw VerbsError("ibv_modify_qp", .invalidArgument("\(name), \(value), does not fit into 24 bits"))
        }
    }
}
