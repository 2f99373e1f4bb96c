internal import CIBVerbs
internal import SMCSystem

extension QueuePair {
    /// Posts one request for the send queue. Does not block or allocate.
    package func post(_ request: SendRequest) throws(VerbsError) {
        self.prepare(request, at: 0)
        try self.submit(count: 1)
    }

    /// Posts all requests in one call, in this order: the device is rung once. Does not block or allocate.
    ///
    /// - Parameter chain: at most `Limits.chainMax`; more is a programmer error and traps.
    /// - Throws: `partlyPosted` when the device took only the first few; these complete, the others were not posted.
    package func post(_ chain: Span<SendRequest>) throws(VerbsError) {
        precondition(chain.count <= Limits.chainMax, "a chain has at most \(Limits.chainMax) requests")
        guard chain.count > 0 else { return }
        for index in chain.indices {
            self.prepare(chain[index], at: index)
        }
        try self.submit(count: chain.count)
    }

    /// Posts memory for one incoming message, which fills `first`, then `second`.
    ///
    /// The memory is the device's until the request has completed. Does not block or allocate.
    package func postReceive(
        id: UInt64, into first: MemorySegment, then second: MemorySegment? = nil
    ) throws(VerbsError) {
        unsafe self.receiveSegments[0] = ibv_sge(first)
        if let second { unsafe self.receiveSegments[1] = ibv_sge(second) }
        var request = unsafe ibv_recv_wr()
        unsafe request.wr_id = id
        unsafe request.sg_list = self.receiveSegments
        unsafe request.num_sge = second == nil ? 1 : 2
        var bad: UnsafeMutablePointer<ibv_recv_wr>?
        // SAFETY: the request and its segments are read during the call only.
        try check("ibv_post_recv", unsafe ibv_post_recv(self.raw, &request, &bad))
    }

    private func prepare(_ request: SendRequest, at index: Int) {
        var work = unsafe ibv_send_wr()
        unsafe work.wr_id = request.id
        if let segment = request.segment {
            precondition(
                !request.flags.contains(.inline) || Int(segment.byteCount) <= self.inlineMax, "too long to be inline")
            unsafe self.sendSegments[index] = ibv_sge(segment)
            unsafe work.sg_list = self.sendSegments + index
            unsafe work.num_sge = 1
        }
        switch request.operation {
        case .send:
            unsafe work.opcode = IBV_WR_SEND
        case .write(let remote):
            unsafe work.opcode = IBV_WR_RDMA_WRITE
            unsafe work.wr.rdma.remote_addr = remote.address
            unsafe work.wr.rdma.rkey = remote.key
        case .writeWithImmediate(let remote, let immediate):
            unsafe work.opcode = IBV_WR_RDMA_WRITE_WITH_IMM
            unsafe work.imm_data = immediate.bigEndian
            unsafe work.wr.rdma.remote_addr = remote.address
            unsafe work.wr.rdma.rkey = remote.key
        }
        var flags: UInt32 = 0
        if request.flags.contains(.signaled) { flags |= IBV_SEND_SIGNALED.rawValue }
        if request.flags.contains(.solicited) { flags |= IBV_SEND_SOLICITED.rawValue }
        if request.flags.contains(.inline) { flags |= IBV_SEND_INLINE.rawValue }
        unsafe work.send_flags = flags
        // SAFETY: `index` is below chainMax, the size of both scratch arrays.
        unsafe self.sendScratch[index] = work
    }

    private func submit(count: Int) throws(VerbsError) {
        for index in 1..<max(1, count) {
            unsafe self.sendScratch[index - 1].next = self.sendScratch + index
        }
        unsafe self.sendScratch[count - 1].next = nil
        var bad: UnsafeMutablePointer<ibv_send_wr>?
        // SAFETY: the device's library reads the chain and its segments during the call only.
        let result = unsafe ibv_post_send(self.raw, self.sendScratch, &bad)
        guard result != 0 else { return }
        let code = result > 0 ? result : lastErrno()
        let accepted = unsafe bad.map { unsafe $0 - self.sendScratch } ?? 0
        throw VerbsError(
            "ibv_post_send", accepted == 0 ? .errno(code) : .partlyPosted(accepted: accepted, errno: code))
    }
}

extension ibv_sge {
    init(_ segment: MemorySegment) {
        self.init(addr: segment.address, length: segment.byteCount, lkey: segment.localKey)
    }
}
