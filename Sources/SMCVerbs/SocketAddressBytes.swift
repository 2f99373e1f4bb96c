internal import CRDMACM

/// A socket address as rdma_cm wants it: IPv4 or IPv6, complete, IPv4-mapped addresses as IPv4.
struct SocketAddressBytes: Hashable {
    let bytes: [UInt8]

    // Linux: sa_family_t in host order, then the port in network order.
    private static let familyIPv4: UInt16 = 2
    private static let familyIPv6: UInt16 = 10
    private static let sizeIPv4 = 16
    private static let sizeIPv6 = 28

    /// - Parameters:
    ///   - bytes: a `sockaddr_in` or `sockaddr_in6` as in memory; more bytes may follow.
    ///   - keepingPort: a source's port means a port of rdma_cm, not of TCP, and must not be taken over.
    init(_ bytes: [UInt8], keepingPort: Bool) throws(VerbsError) {
        let family = bytes.count >= 2 ? UInt16(littleEndian: UInt16(bytes[0]) | UInt16(bytes[1]) << 8) : 0
        var address: [UInt8]
        switch family {
        case Self.familyIPv4 where bytes.count >= Self.sizeIPv4:
            address = Array(bytes[..<Self.sizeIPv4])
        case Self.familyIPv6 where bytes.count >= Self.sizeIPv6:
            address = Array(bytes[..<Self.sizeIPv6])
            let isMapped = address[8..<18].allSatisfy { $0 == 0 } && address[18] == 0xFF && address[19] == 0xFF
            if isMapped {
                let padding = [UInt8](repeating: 0, count: 8)
                address = [UInt8(Self.familyIPv4), 0] + address[2..<4] + address[20..<24] + padding
            }
        default:
            let text = "neither a sockaddr_in nor a sockaddr_in6: family \(family), \(bytes.count) bytes"
            throw VerbsError("rdma_resolve_addr", .invalidArgument(text))
        }
        if !keepingPort {
            address[2] = 0
            address[3] = 0
        }
        self.bytes = address
    }

    /// Runs `body` with a copy that C may read, aligned and valid for the call.
    func withSocketAddress<Result>(_ body: (UnsafeMutablePointer<sockaddr>) -> Result) -> Result {
        unsafe withUnsafeTemporaryAllocation(byteCount: Self.sizeIPv6, alignment: 8) { buffer in
            // SAFETY: `bytes` is at most `sizeIPv6` long and begins with the family, as every sockaddr does.
            unsafe buffer.copyBytes(from: self.bytes)
            return unsafe body(buffer.baseAddress!.assumingMemoryBound(to: sockaddr.self))
        }
    }
}
