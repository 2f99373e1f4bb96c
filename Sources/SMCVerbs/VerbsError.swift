internal import SMCSystem

/// An operation on an RDMA device that failed: which one, why, and what to do about it.
package struct VerbsError: Error, Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        /// The call answered with this errno.
        case errno(Int32)
        /// Posting stopped half way: the first `accepted` requests were taken and will complete.
        case partlyPosted(accepted: Int, errno: Int32)
        /// A work request completed, but not with success.
        case completion(WorkCompletion.Status)
        /// The queue pair cannot go from one state to the other.
        case illegalTransition(from: QueuePairState, to: QueuePairState)
        /// An argument that no device would take.
        case invalidArgument(String)
        /// The host has no RDMA device, or no RDMA stack at all.
        case noDevice
        /// There are RDMA devices, but none that owns this address or reaches that one.
        case addressNotOnDevice(errno: Int32)
        /// The device has the address, but no RoCE v2 entry in its GID table for it.
        case noRoutableGID(device: String, gid: GID)
        /// Nothing was heard in time.
        case timedOut(after: Duration)
        /// rdma_cm said something other than what was asked for.
        case unexpectedEvent(String, status: Int32)
    }

    /// The call, as in its manual page, or the operation of this module.
    package var operation: String
    package var reason: Reason

    package init(_ operation: String, _ reason: Reason) {
        self.operation = operation
        self.reason = reason
    }
}

extension VerbsError: CustomStringConvertible {
    package var description: String {
        "\(self.operation): \(self.reason.text(for: self.operation))"
    }
}

extension VerbsError.Reason {
    fileprivate func text(for operation: String) -> String {
        switch self {
        case .errno(let code):
            return Self.text(ofErrno: code, for: operation)
        case .partlyPosted(let accepted, let code):
            return "stopped after \(accepted) work requests, which will complete: "
                + Self.text(ofErrno: code, for: operation)
        case .completion(let status):
            return status.description
        case .illegalTransition(let from, let to):
            let allowed = QueuePairState.allowed(after: from).map(\.description).sorted()
            return "a queue pair cannot go from \(from) to \(to); from \(from) it can go to "
                + (allowed.isEmpty ? "nothing" : allowed.joined(separator: ", "))
        case .invalidArgument(let text):
            return text
        case .noDevice:
            return "no RDMA device on this host; 'rdma link' lists them, "
                + "'rdma link add rxe0 type rxe netdev eth0' makes one in software, and containers need /dev/infiniband"
        case .addressNotOnDevice(let code):
            return "the address belongs to no RDMA device or no RDMA device leads there (\(errnoText(code))); "
                + "'rdma link' shows which network interface each device uses"
        case .noRoutableGID(let device, let gid):
            return "\(device) has no RoCE v2 entry \(gid) in its GID table; "
                + "see /sys/class/infiniband/\(device)/ports/*/gid_attrs/types"
        case .timedOut(let duration):
            return "no answer within \(duration)"
        case .unexpectedEvent(let name, let status):
            return "rdma_cm reported \(name) with status \(status)"
        }
    }

    private static func text(ofErrno code: Int32, for operation: String) -> String {
        let text = errnoText(code)
        switch (operation, code) {
        case ("ibv_reg_mr", Errno.noMemory):
            return "\(text): registered memory is locked memory; raise RLIMIT_MEMLOCK "
                + "('ulimit -l', or LimitMEMLOCK= in the systemd unit)"
        case (_, Errno.noMemory):
            return "\(text): the device's queue is full, or it has no more resources of this kind"
        case (_, Errno.accessDenied):
            return "\(text): the process may not open the files in /dev/infiniband"
        case (_, Errno.notSupported), (_, Errno.noSuchDevice):
            return "\(text): no RDMA device answers; is it gone, or the ib_uverbs or rdma_ucm module not loaded?"
        default:
            return text
        }
    }
}

/// Turns the two habits of libibverbs and librdmacm (a positive errno, or -1 with errno) into one.
@inline(__always)
func check(_ operation: StaticString, _ result: Int32) throws(VerbsError) {
    guard result != 0 else { return }
    throw VerbsError("\(operation)", .errno(result > 0 ? result : lastErrno()))
}

/// The same for calls that answer with a pointer or nil with errno.
@inline(__always)
func checkPointer<Pointee>(
    _ operation: StaticString, _ result: UnsafeMutablePointer<Pointee>?
) throws(VerbsError) -> UnsafeMutablePointer<Pointee> {
    if let result = unsafe result { return unsafe result }
    let code = lastErrno()
    throw VerbsError("\(operation)", .errno(code))
}

/// A system call's failure, told as one of this module.
func describing<Result: ~Copyable>(
    _ body: () throws(SystemCallError) -> Result
) throws(VerbsError) -> Result {
    do { return try body() } catch { throw VerbsError(error.call, .errno(error.errno)) }
}
