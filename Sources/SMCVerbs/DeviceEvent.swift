internal import CIBVerbs
internal import CRDMACM
internal import SMCSystem
internal import Synchronization

/// Something that happened to a device, outside of any work request.
package enum DeviceEvent: Sendable, Hashable {
    /// The device goes away. Drop everything on it: the kernel waits for that.
    case removed
    /// Addresses of the device came or went, or the one that led to it moved (in a bond): resolve again.
    case addressChanged
    /// The port lost its link: queue pairs may live on if it returns in time.
    case portError(port: UInt8)
    case portActive(port: UInt8)
    /// The queue pair with this number is in ERROR.
    case queuePairFatal(number: UInt32)
    /// The device failed; as good as removed.
    case deviceFatal
    case other(String)
}

extension DeviceContext {
    /// Readable when rdma_cm has an event (removal, change of address). For epoll; belongs to this object.
    package var managementDescriptor: Int32 { self.identifier.descriptor }

    /// Readable when the device has an event (port, queue pair). For epoll; belongs to this object.
    package var asyncDescriptor: Int32 { unsafe self.raw.pointee.async_fd }

    /// The next event of either descriptor, or nil when none waits. Never blocks.
    package func nextEvent() throws(VerbsError) -> DeviceEvent? {
        if let event = try self.identifier.nextEvent() {
            switch event.type {
            case RDMA_CM_EVENT_DEVICE_REMOVAL:
                self.isGone.store(true, ordering: .releasing)
                return .removed
            case RDMA_CM_EVENT_ADDR_CHANGE: return .addressChanged
            default: return .other(event.name)
            }
        }
        return try self.nextAsyncEvent()
    }

    private func nextAsyncEvent() throws(VerbsError) -> DeviceEvent? {
        var event = unsafe ibv_async_event()
        guard unsafe ibv_get_async_event(self.raw, &event) == 0 else {
            let code = lastErrno()
            if code == Errno.tryAgain { return nil }
            throw VerbsError("ibv_get_async_event", .errno(code))
        }
        // Acknowledged at once, because destroying the object waits for that. SAFETY: until then the queue pair that
        // the event points to is not destroyed; its number is copied before.
        defer { unsafe ibv_ack_async_event(&event) }
        switch unsafe event.event_type {
        case IBV_EVENT_PORT_ERR: return .portError(port: UInt8(truncatingIfNeeded: unsafe event.element.port_num))
        case IBV_EVENT_PORT_ACTIVE: return .portActive(port: UInt8(truncatingIfNeeded: unsafe event.element.port_num))
        case IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR, IBV_EVENT_QP_ACCESS_ERR:
            return .queuePairFatal(number: unsafe event.element.qp.pointee.qp_num)
        case IBV_EVENT_GID_CHANGE: return .addressChanged
        case IBV_EVENT_DEVICE_FATAL: return .deviceFatal
        default: return .other(unsafe String(cString: ibv_event_type_str(event.event_type)))
        }
    }
}
