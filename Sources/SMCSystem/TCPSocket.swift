internal import CSMCShims
internal import Glibc

/// A non-blocking TCP socket, closed when the last reference to it goes. Calls may come from any thread.
package final class TCPSocket: Sendable {
    /// The number, for an event loop to watch; valid as long as this object lives.
    package let descriptor: Int32

    /// What reading brought.
    package enum ReadResult: Hashable, Sendable {
        case bytes(Int)
        case wouldBlock
        /// The peer will send no more.
        case end
    }

    private init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        _ = Glibc.close(self.descriptor)
    }

    private static func make(for address: SocketAddress) throws(SystemCallError) -> TCPSocket {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let family = address.isIPv6 ? AF_INET6 : AF_INET
        return TCPSocket(adopting: try retrying("socket") { socket(family, kind, 0) })
    }

    /// Starts to connect; when the socket becomes writable, ``connectResult()`` tells how it went.
    package static func startConnecting(to address: SocketAddress) throws(SystemCallError) -> TCPSocket {
        let socket = try Self.make(for: address)
        do throws(SystemCallError) {
            _ = try retrying("connect") {
                unsafe Self.withAddress(address) { unsafe Glibc.connect(socket.descriptor, $0, $1) }
            }
        } catch  where error.errno == EINPROGRESS {}
        return socket
    }

    /// How connecting went.
    package func connectResult() throws(SystemCallError) {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        _ = try retrying("getsockopt") {
            // SAFETY: the result and its length are ours.
            unsafe getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        }
        guard code == 0 else { throw SystemCallError(call: "connect", errno: code) }
    }

    /// Listens; port 0 lets the kernel choose one (see ``localAddress()``). IPv6 "any" serves IPv4 too.
    package static func listen(on address: SocketAddress, backlog: Int32) throws(SystemCallError) -> TCPSocket {
        let socket = try Self.make(for: address)
        socket.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
        if address.isIPv6 { socket.setOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        _ = try retrying("bind \(address)") {
            unsafe Self.withAddress(address) { unsafe Glibc.bind(socket.descriptor, $0, $1) }
        }
        _ = try retrying("listen") { Glibc.listen(socket.descriptor, backlog) }
        return socket
    }

    /// Takes one waiting connection, or nil when there is none (any more).
    package func accept() throws(SystemCallError) -> TCPSocket? {
        do throws(SystemCallError) {
            return TCPSocket(adopting: try retrying("accept4") { csmc_accept(self.descriptor, nil, nil) })
        } catch {
            switch error.errno {
            case EAGAIN, ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, ENETUNREACH: return nil
            default: throw error
            }
        }
    }

    // MARK: Bytes

    /// Reads what is there, at most `buffer.count` bytes.
    @unsafe
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemCallError) -> ReadResult {
        try unsafe self.receive(into: buffer, flags: 0)
    }

    /// Copies at most `count` waiting bytes without taking them from the stream; nil when none waits yet.
    package func peek(_ count: Int) throws(SystemCallError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = try self.receive(into: &bytes, flags: Int32(MSG_PEEK))
        switch result {
        case .bytes(let count): return Array(bytes.prefix(count))
        case .end: return []
        case .wouldBlock: return nil
        }
    }

    /// Reads at most `count` bytes; nil when none waits yet, empty at the end.
    package func read(_ count: Int) throws(SystemCallError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        switch try self.receive(into: &bytes, flags: 0) {
        case .bytes(let count): return Array(bytes.prefix(count))
        case .end: return []
        case .wouldBlock: return nil
        }
    }

    private func receive(into bytes: inout [UInt8], flags: Int32) throws(SystemCallError) -> ReadResult {
        let capacity = bytes.count
        do throws(SystemCallError) {
            // SAFETY: the array has `capacity` bytes.
            let count = try retrying("recv") { unsafe recv(self.descriptor, &bytes, capacity, flags) }
            return count == 0 ? .end : .bytes(count)
        } catch  where error.errno == EAGAIN {
            return .wouldBlock
        }
    }

    private func receive(
        into buffer: UnsafeMutableRawBufferPointer, flags: Int32
    ) throws(SystemCallError) -> ReadResult {
        do throws(SystemCallError) {
            // SAFETY: the caller vouches for the buffer.
            let count = try retrying("recv") {
                unsafe recv(self.descriptor, buffer.baseAddress, buffer.count, flags)
            }
            return count == 0 ? .end : .bytes(count)
        } catch  where error.errno == EAGAIN {
            return .wouldBlock
        }
    }

    /// Writes what fits; 0 when nothing does.
    @unsafe
    package func write(_ buffer: UnsafeRawBufferPointer) throws(SystemCallError) -> Int {
        do throws(SystemCallError) {
            return try retrying("send") {
                // SAFETY: the caller vouches for the buffer.
                unsafe send(self.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
        } catch  where error.errno == EAGAIN {
            return 0
        }
    }

    /// Writes what fits of `bytes` from `offset` on; 0 when nothing does.
    package func write(_ bytes: [UInt8], from offset: Int) throws(SystemCallError) -> Int {
        let result: Result<Int, SystemCallError> = unsafe bytes.withUnsafeBytes { buffer in
            do throws(SystemCallError) {
                return .success(try unsafe self.write(UnsafeRawBufferPointer(rebasing: buffer[offset...])))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Says that we send no more.
    package func shutdownWriting() {
        _ = shutdown(self.descriptor, Int32(SHUT_WR))
    }

    /// Ends both directions; the peer sees it at once.
    package func shutdownBoth() {
        _ = shutdown(self.descriptor, Int32(SHUT_RDWR))
    }

    /// Ends both directions at once with a reset, so that the peer cannot take it for an orderly end.
    ///
    /// A shutdown would send the end before the reset, and a close has to wait for the last reference.
    package func reset() {
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNSPEC)
        // SAFETY: the address is ours; connecting to no family is how Linux is told to disconnect (connect(2)).
        _ = unsafe Glibc.connect(self.descriptor, &address, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// Whether the peer has said that it sends no more (or the connection is broken).
    package var hasPeerFinished: Bool {
        var entry = pollfd(fd: self.descriptor, events: Int16(csmc_poll_peer_closed()), revents: 0)
        // SAFETY: one entry of our own.
        return unsafe poll(&entry, 1, 0) > 0
    }

    /// For how long nothing was heard from the peer although bytes of ours had to be sent again (or probes, when it had
    /// no room); nil when there is nothing that it should have answered.
    package var unansweredFor: Duration? {
        var info = tcp_info()
        var length = socklen_t(MemoryLayout<tcp_info>.size)
        // SAFETY: the result and its length are ours; an older kernel fills less of it.
        guard unsafe getsockopt(self.descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return nil }
        let isAnswerDue = info.tcpi_unacked > 0 && info.tcpi_retransmits > 0 || info.tcpi_probes > 1
        return isAnswerDue ? .milliseconds(Int64(info.tcpi_last_ack_recv)) : nil
    }

    // MARK: Options and addresses

    /// No delay for small writes, and a peer that vanished without a word is noticed within `limit` while nothing is on
    /// its way to it.
    ///
    /// While something is, look at ``unansweredFor``: TCP itself gives up after a quarter of an hour, and
    /// TCP_USER_TIMEOUT ends the connection of a peer that is well and reads nothing for so long, too.
    package func tune(deadPeerLimit limit: Duration) {
        let seconds = max(3, Int32(limit / .seconds(1)))
        self.setOption(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        self.setOption(SOL_SOCKET, SO_KEEPALIVE, 1)
        self.setOption(Int32(IPPROTO_TCP), TCP_KEEPIDLE, max(1, seconds / 3))
        self.setOption(Int32(IPPROTO_TCP), TCP_KEEPINTVL, max(1, seconds / 6))
        self.setOption(Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
    }

    /// The socket counts as readable only when so many bytes wait, or no more will come.
    package func setReadableFrom(byteCount: Int) {
        self.setOption(SOL_SOCKET, SO_RCVLOWAT, Int32(clamping: byteCount))
    }

    private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        // SAFETY: four bytes of our own. An option that the kernel refuses leaves its default, which is safe.
        _ = unsafe setsockopt(self.descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    package func localAddress() throws(SystemCallError) -> SocketAddress {
        // SAFETY: see readAddress.
        try unsafe self.readAddress("getsockname") { unsafe getsockname(self.descriptor, $0, $1) }
    }

    package func peerAddress() throws(SystemCallError) -> SocketAddress {
        try unsafe self.readAddress("getpeername") { unsafe getpeername(self.descriptor, $0, $1) }
    }

    private func readAddress(
        _ call: String, _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) throws(SystemCallError) -> SocketAddress {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // SAFETY: the storage is as long as the kernel is told and may be seen as any sockaddr.
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, &length) }
        }
        guard result == 0 else { throw SystemCallError(call: call, errno: errno) }
        return unsafe withUnsafeBytes(of: &storage) {
            unsafe SocketAddress(bytes: Array($0.prefix(Int(length))))
        }
    }

    private static func withAddress(
        _ address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var storage = sockaddr_storage()
        let count = min(address.bytes.count, MemoryLayout<sockaddr_storage>.size)
        // SAFETY: at most the storage's size is copied into it, and it may be seen as any sockaddr.
        unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyBytes(from: address.bytes.prefix(count)) }
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(count))
            }
        }
    }
}
