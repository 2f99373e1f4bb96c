internal import CSMCShims
internal import Glibc

/// An IP address with a port: the bytes of a sockaddr_in or sockaddr_in6.
package struct SocketAddress: Hashable, Sendable {
    /// The bytes as the kernel wants them.
    package let bytes: [UInt8]

    /// That of a socket which cannot tell it any more.
    package static let unknown = SocketAddress(bytes: [])

    /// Takes over the bytes that a call gave; only IPv4 and IPv6 are told apart, anything else is opaque.
    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var family: Int32 {
        guard self.bytes.count >= 2 else { return AF_UNSPEC }
        return Int32(UInt16(self.bytes[0]) | UInt16(self.bytes[1]) << 8)
    }

    package var isIPv4: Bool { self.family == AF_INET && self.bytes.count >= 16 }
    package var isIPv6: Bool { self.family == AF_INET6 && self.bytes.count >= 28 }

    /// The port in host order; 0 for an address that is neither IPv4 nor IPv6.
    package var port: UInt16 {
        guard self.isIPv4 || self.isIPv6 else { return 0 }
        return UInt16(self.bytes[2]) << 8 | UInt16(self.bytes[3])
    }

    /// The same address with another port.
    package func with(port: UInt16) -> SocketAddress {
        guard self.isIPv4 || self.isIPv6 else { return self }
        var bytes = self.bytes
        bytes[2] = UInt8(port >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: port)
        return SocketAddress(bytes: bytes)
    }

    /// The IP address in network order: 4 or 16 bytes, or none. An IPv4-mapped IPv6 address gives its 4 bytes.
    package var ipBytes: [UInt8] {
        if self.isIPv4 { return Array(self.bytes[4..<8]) }
        guard self.isIPv6 else { return [] }
        let address = Array(self.bytes[8..<24])
        let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
        return address.starts(with: mappedPrefix) ? Array(address[12...]) : address
    }

    /// The same address as plain IPv4 if it is IPv4 in IPv6's clothes (what a dual-stack listener sees).
    package var unmapped: SocketAddress {
        let ip = self.ipBytes
        guard self.isIPv6, ip.count == 4 else { return self }
        return SocketAddress(bytes: [UInt8(AF_INET), 0] + self.bytes[2..<4] + ip + [UInt8](repeating: 0, count: 8))
    }

    /// Looks a host up (getaddrinfo(3)): names, IPv4 and IPv6 literals. Blocks while a name server is asked.
    ///
    /// - Parameter host: nil for "every local address" when `passive`.
    /// - Throws: ``NameResolutionError`` with the resolver's own words.
    package static func resolve(
        host: String?, port: UInt16, passive: Bool = false
    ) throws(NameResolutionError) -> [SocketAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)
        var list: UnsafeMutablePointer<addrinfo>?
        // SAFETY: all strings live for the call; the list that it returns is freed below, once.
        let code = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard code == 0 else {
            throw unsafe NameResolutionError(host: host ?? "*", reason: String(cString: gai_strerror(code)))
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            // SAFETY: ai_addr points to ai_addrlen bytes as long as the list lives.
            let bytes = unsafe [UInt8](
                UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
            addresses.append(SocketAddress(bytes: bytes))
            unsafe next = entry.pointee.ai_next
        }
        return addresses
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `10.0.0.1:7000` or `[fe80::1]:7000`.
    package var description: String {
        let plain = self.unmapped
        guard plain.isIPv4 || plain.isIPv6 else { return "unknown address" }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let ip = plain.isIPv4 ? Array(plain.bytes[4..<8]) : Array(plain.bytes[8..<24])
        // SAFETY: the address has the length of its family, and the text buffer the length that is passed.
        unsafe inet_ntop(plain.family, ip, &text, socklen_t(text.count))
        let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return plain.isIPv4 ? "\(address):\(plain.port)" : "[\(address)]:\(plain.port)"
    }
}

/// A host name that the resolver does not know.
package struct NameResolutionError: Error, Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var reason: String

    package init(host: String, reason: String) {
        self.host = host
        self.reason = reason
    }

    package var description: String {
        "cannot resolve host '\(self.host)': \(self.reason)"
    }
}
