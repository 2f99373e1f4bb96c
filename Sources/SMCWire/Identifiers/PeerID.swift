/// Who a host is for as long as it runs: two random bytes, then the MAC address of a RoCE port (PROTOCOL 2.9).
///
/// It must change when the host restarts, so that a peer notices that its link groups are gone.
package struct PeerID: Hashable, Sendable {
    /// The eight bytes, the first one in the highest place.
    package var rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package init(instance: UInt16, macAddress: MACAddress) {
        self.rawValue = UInt64(instance) << 48 | macAddress.rawValue
    }

    /// All zero: none, as in the Decline of a host without RDMA.
    package static let zero = PeerID(rawValue: 0)

    /// The first two bytes, drawn anew on each start.
    package var instance: UInt16 { UInt16(truncatingIfNeeded: self.rawValue >> 48) }

    /// The last six bytes.
    package var macAddress: MACAddress { MACAddress(rawValue: self.rawValue) }
}

extension PeerID: CustomStringConvertible {
    /// Sixteen hexadecimal digits.
    package var description: String { hexadecimal(self.rawValue, digits: 16) }
}
