internal import CRDMACM
internal import SMCSystem

/// An rdma_cm id with an event channel of its own.
///
/// Once resolved it ties the process to a device: librdmacm keeps the device's verbs context, and the kernel reports
/// the device's removal on the channel.
@safe
final class CMIdentifier: @unchecked Sendable {
    // SAFETY: both pointers come from librdmacm, are never nil and live until deinit, which frees the id before its
    // channel. librdmacm's calls may come from any thread; the id's fields change only in `resolve`, which runs before
    // the object is shared.
    private let channel: UnsafeMutablePointer<rdma_event_channel>
    private let id: UnsafeMutablePointer<rdma_cm_id>

    struct Event {
        var type: rdma_cm_event_type
        var status: Int32
        var name: String
    }

    init() throws(VerbsError) {
        guard let channel = unsafe rdma_create_event_channel() else {
            let code = lastErrno()
            throw VerbsError("rdma_create_event_channel", Self.reason(ofErrno: code))
        }
        var id: UnsafeMutablePointer<rdma_cm_id>?
        let result = unsafe rdma_create_id(channel, &id, nil, RDMA_PS_TCP)
        guard result == 0, let id = unsafe id else {
            let code = lastErrno()
            unsafe rdma_destroy_event_channel(channel)
            throw VerbsError("rdma_create_id", Self.reason(ofErrno: code))
        }
        unsafe self.channel = channel
        unsafe self.id = id
        let descriptor = unsafe channel.pointee.fd
        try describing { () throws(SystemCallError) in try RawDescriptor.setNonBlocking(descriptor) }
    }

    deinit {
        _ = unsafe rdma_destroy_id(self.id)
        unsafe rdma_destroy_event_channel(self.channel)
    }

    /// Readable when an event waits.
    var descriptor: Int32 { unsafe self.channel.pointee.fd }

    /// The device that resolving found. librdmacm owns it and shares it between all ids of the process.
    var verbs: UnsafeMutablePointer<ibv_context>? { unsafe self.id.pointee.verbs }
    var port: UInt8 { unsafe self.id.pointee.port_num }
    var sourceGID: GID { unsafe GID(self.id.pointee.route.addr.addr.ibaddr.sgid) }
    var destinationGID: GID { unsafe GID(self.id.pointee.route.addr.addr.ibaddr.dgid) }

    /// The next event, or nil when none waits. Never blocks.
    func nextEvent() throws(VerbsError) -> Event? {
        var event: UnsafeMutablePointer<rdma_cm_event>?
        guard unsafe rdma_get_cm_event(self.channel, &event) == 0, let event = unsafe event else {
            let code = lastErrno()
            if code == Errno.tryAgain { return nil }
            throw VerbsError("rdma_get_cm_event", .errno(code))
        }
        // Acknowledged at once, because destroying the id waits for that. SAFETY: copied before.
        defer { _ = unsafe rdma_ack_cm_event(event) }
        let type = unsafe event.pointee.event
        return unsafe Event(type: type, status: event.pointee.status, name: String(cString: rdma_event_str(type)))
    }

    /// Finds the device that leads from `source` (any, when nil) to `destination`.
    ///
    /// Blocks until rdma_cm has answered, at most for `timeout`.
    func resolve(
        from source: SocketAddressBytes?, to destination: SocketAddressBytes, timeout: Duration
    ) throws(VerbsError) {
        let parts = timeout.components
        let milliseconds = Int32(clamping: max(1, parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000))
        // SAFETY: librdmacm copies the addresses, as many bytes as their family says, which SocketAddressBytes holds.
        let code: Int32 = unsafe destination.withSocketAddress { destination in
            let call = { (source: UnsafeMutablePointer<sockaddr>?) in
                unsafe rdma_resolve_addr(self.id, source, destination, milliseconds) == 0 ? 0 : lastErrno()
            }
            guard let source else { return call(nil) }
            return unsafe source.withSocketAddress { unsafe call($0) }
        }
        guard code == 0 else { throw VerbsError("rdma_resolve_addr", Self.reason(ofErrno: code)) }
        let event = try self.awaitEvent(timeout: timeout)
        guard event.type == RDMA_CM_EVENT_ADDR_RESOLVED else {
            guard event.type == RDMA_CM_EVENT_ADDR_ERROR else {
                throw VerbsError("rdma_resolve_addr", .unexpectedEvent(event.name, status: event.status))
            }
            let code = abs(event.status)
            let reason = code == Errno.timedOut ? .timedOut(after: timeout) : Self.reason(ofErrno: code)
            throw VerbsError("rdma_resolve_addr", reason)
        }
        guard unsafe self.verbs != nil else {
            throw VerbsError("rdma_resolve_addr", .addressNotOnDevice(errno: Errno.noSuchDevice))
        }
    }

    private func awaitEvent(timeout: Duration) throws(VerbsError) -> Event {
        let deadline = ContinuousClock.now + timeout
        while true {
            if let event = try self.nextEvent() { return event }
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw VerbsError("rdma_resolve_addr", .timedOut(after: timeout)) }
            let descriptor = self.descriptor
            _ = try describing { () throws(SystemCallError) in
                try Readiness.wait(descriptor, timeout: left)
            }
        }
    }

    /// Most errno values of rdma_cm mean that there is no way to go by RDMA; those that mean something else stay.
    private static func reason(ofErrno code: Int32) -> VerbsError.Reason {
        if RDMADevices.names().isEmpty { return .noDevice }
        return [Errno.accessDenied, Errno.noMemory].contains(code) ? .errno(code) : .addressNotOnDevice(errno: code)
    }
}

extension GID {
    init(_ gid: ibv_gid) {
        // SAFETY: both members of the union are sixteen plain bytes.
        self.init(
            high: UInt64(bigEndian: unsafe gid.global.subnet_prefix),
            low: UInt64(bigEndian: unsafe gid.global.interface_id))
    }

    /// The same sixteen bytes as C keeps them.
    var raw: ibv_gid {
        var gid = ibv_gid()
        unsafe gid.global.subnet_prefix = self.high.bigEndian
        unsafe gid.global.interface_id = self.low.bigEndian
        return gid
    }
}
