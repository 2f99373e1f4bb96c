/// The version of SMC that a message is written in.
package enum ProtocolVersion: UInt8, Hashable, Sendable, CaseIterable {
    /// RFC 7609.
    case one = 1
    /// SMCv2: routable, with enterprise IDs.
    case two = 2
}

extension ProtocolVersion: Comparable {
    package static func < (left: ProtocolVersion, right: ProtocolVersion) -> Bool { left.rawValue < right.rawValue }
}
