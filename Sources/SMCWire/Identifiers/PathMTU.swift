/// The largest payload of one RDMA packet, with the codes of the InfiniBand standard (PROTOCOL 2.4).
package enum PathMTU: UInt8, Hashable, Sendable, CaseIterable {
    case bytes256 = 1
    case bytes512 = 2
    case bytes1024 = 3
    case bytes2048 = 4
    case bytes4096 = 5

    package var byteCount: Int { 128 << Int(self.rawValue) }

    init(code: UInt8) throws(WireError) {
        guard let value = PathMTU(rawValue: code) else { throw .badValue(field: "path MTU", value: UInt64(code)) }
        self = value
    }
}

extension PathMTU: Comparable {
    package static func < (left: PathMTU, right: PathMTU) -> Bool { left.rawValue < right.rawValue }
}
