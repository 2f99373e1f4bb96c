internal import CSMCShims
internal import Glibc

/// Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED).
package struct PeerCredentials: Hashable, Sendable {
    package var processID: Int32
    package var userID: UInt32
    package var groupID: UInt32

    package init(processID: Int32, userID: UInt32, groupID: UInt32) {
        self.processID = processID
        self.userID = userID
        self.groupID = groupID
    }
}

/// A Unix socket that keeps message boundaries (SOCK_SEQPACKET) and carries descriptors (SCM_RIGHTS).
package struct UnixSocket: ~Copyable, Sendable {
    /// Descriptors that one message may carry.
    package static let maximumDescriptorsPerMessage = Int(CSMC_MAX_DESCRIPTORS)

    package let descriptor: OwnedDescriptor

    private init(descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// Listens on a path of the file system; the path must not exist.
    package static func listen(path: String, backlog: Int32 = 128) throws(SystemCallError) -> UnixSocket {
        let socket = try Self.make()
        let number = socket.descriptor.rawValue
        try unsafe Self.withAddress(path) { (address, length) throws(SystemCallError) in
            // SAFETY: the address is valid for the call, and its length is that of a sockaddr_un.
            _ = try retrying("bind \(path)") { unsafe Glibc.bind(number, address, length) }
        }
        _ = try retrying("listen") { Glibc.listen(number, backlog) }
        return socket
    }

    /// Connects to a path. The socket is non-blocking afterwards.
    package static func connect(path: String) throws(SystemCallError) -> UnixSocket {
        let socket = try Self.make()
        let number = socket.descriptor.rawValue
        try unsafe Self.withAddress(path) { (address, length) throws(SystemCallError) in
            // SAFETY: as in listen.
            _ = try retrying("connect \(path)") { unsafe Glibc.connect(number, address, length) }
        }
        return socket
    }

    private static func make() throws(SystemCallError) -> UnixSocket {
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        return UnixSocket(
            descriptor: OwnedDescriptor(adopting: try retrying("socket") { socket(AF_UNIX, kind, 0) }))
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemCallError) -> Void
    ) throws(SystemCallError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemCallError(call: "socket path of \(bytes.count) bytes: \(path)", errno: ENAMETOOLONG)
        }
        // SAFETY: the path and its NUL fit, as was just checked.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        var failure: SystemCallError?
        // SAFETY: a sockaddr_un may be passed where a sockaddr is asked for; the length says which it is.
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                do throws(SystemCallError) {
                    try unsafe body(generic, socklen_t(MemoryLayout<sockaddr_un>.size))
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }

    /// Takes one waiting connection, or nil when there is none. The new socket is non-blocking.
    package borrowing func accept() throws(SystemCallError) -> UnixSocket? {
        let number = self.descriptor.rawValue
        do throws(SystemCallError) {
            let accepted = try retrying("accept4") {
                // SAFETY: no address is asked for.
                csmc_accept(number, nil, nil)
            }
            return UnixSocket(descriptor: OwnedDescriptor(adopting: accepted))
        } catch {
            if error.errno == EAGAIN || error.errno == ECONNABORTED { return nil }
            throw error
        }
    }

    /// Who the kernel says was at the other end when it connected.
    package borrowing func peerCredentials() throws(SystemCallError) -> PeerCredentials {
        var credentials = PeerCredentials(processID: 0, userID: 0, groupID: 0)
        let number = self.descriptor.rawValue
        _ = try retrying("getsockopt(SO_PEERCRED)") {
            unsafe csmc_peer_credentials(
                number, &credentials.processID, &credentials.userID, &credentials.groupID)
        }
        return credentials
    }

    /// The peer's supplementary groups as the kernel says, of the moment when it connected (SO_PEERGROUPS).
    package borrowing func peerGroups() throws(SystemCallError) -> [UInt32] {
        let number = self.descriptor.rawValue
        var capacity: UInt32 = 32
        while true {
            var groups = [UInt32](repeating: 0, count: Int(capacity))
            var count = capacity
            do throws(SystemCallError) {
                _ = try retrying("getsockopt(SO_PEERGROUPS)") {
                    // SAFETY: the kernel writes at most as many as the array has, which is what `count` says.
                    unsafe csmc_peer_groups(number, &groups, &count)
                }
                return Array(groups.prefix(Int(count)))
            } catch {
                guard error.errno == ERANGE, count > capacity else { throw error }
                capacity = count
            }
        }
    }

    /// Sends one message, whole or not at all.
    ///
    /// - Throws: EAGAIN when the peer does not read; EPIPE when it is gone.
    package borrowing func send(_ message: [UInt8], descriptors: [Int32] = []) throws(SystemCallError) {
        let number = self.descriptor.rawValue
        _ = try retrying("sendmsg") {
            // SAFETY: both arrays live for the call, and their counts go with them.
            unsafe csmc_send_with_descriptors(
                number, message, message.count, descriptors, Int32(descriptors.count), 0)
        }
    }

    /// One message that arrived.
    package struct Received: ~Copyable, Sendable {
        /// Its bytes; empty at the end of the connection.
        package var bytes: [UInt8]
        /// Its descriptors, which the receiver of this value owns and must adopt or close.
        package var descriptors: [Int32]
        /// The message was longer than the limit, or carried more descriptors than may be.
        package var isTruncated: Bool
        /// Nothing will come after it.
        package var isEnd: Bool { self.bytes.isEmpty && self.descriptors.isEmpty && !self.isTruncated }
    }

    /// Ends both directions; the peer sees it at once.
    package borrowing func shutDown() {
        _ = shutdown(self.descriptor.rawValue, Int32(SHUT_RDWR))
    }

    /// Takes one message, or nil when none waits.
    package borrowing func receive(maximumByteCount: Int) throws(SystemCallError) -> Received? {
        var bytes = [UInt8](repeating: 0, count: maximumByteCount)
        var descriptors = [Int32](repeating: -1, count: Self.maximumDescriptorsPerMessage)
        var descriptorCount: Int32 = 0
        var flags: Int32 = 0
        let number = self.descriptor.rawValue
        do throws(SystemCallError) {
            let count = try retrying("recvmsg") {
                // SAFETY: both arrays are ours and as long as the call is told.
                unsafe csmc_receive_with_descriptors(
                    number, &bytes, maximumByteCount, &descriptors, &descriptorCount, &flags)
            }
            bytes.removeLast(maximumByteCount - count)
            descriptors.removeLast(descriptors.count - Int(descriptorCount))
            let truncated = flags & (Int32(MSG_TRUNC) | Int32(MSG_CTRUNC)) != 0
            return Received(bytes: bytes, descriptors: descriptors, isTruncated: truncated)
        } catch {
            if error.errno == EAGAIN { return nil }
            throw error
        }
    }
}
