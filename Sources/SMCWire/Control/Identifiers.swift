/// One physical machine whose memory partitions can share (seed A7), as the hypervisor names it.
///
/// It is drawn anew at each start of a hypervisor: two partitions with the same value were answered by the same
/// process. It is evidence only; nothing is granted because of it.
package struct CECID: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension CECID: CustomStringConvertible {
    /// 32 hexadecimal digits.
    package var description: String {
        hexadecimal(self.high) + hexadecimal(self.low)
    }
}

/// The name of a VLAN: a group of partitions with its own slice of a pool (seed A15, A62).
package struct VLANID: Hashable, Sendable {
    package static let maximumByteCount = ShortName.maximumByteCount
    /// The VLAN of everyone who asks for none.
    package static let `default` = VLANID(checked: "default")

    /// 1 to 32 of the characters A-Z, a-z, 0-9, dot, dash and underscore.
    package let name: String

    private init(checked name: String) {
        self.name = name
    }

    /// - Returns: nil when `name` is not a name.
    package init?(_ name: String) {
        guard ShortName.isValid(name) else { return nil }
        self.name = name
    }
}

extension VLANID: CustomStringConvertible, Comparable {
    package var description: String {
        self.name
    }

    package static func < (left: VLANID, right: VLANID) -> Bool {
        left.name < right.name
    }
}

/// The name of a pool of shared memory; plural VLANs may have plural pools (seed A10, A15).
package struct PoolID: Hashable, Sendable {
    package static let maximumByteCount = ShortName.maximumByteCount
    /// The pool of VLANs that name none.
    package static let `default` = PoolID(checked: "default")

    /// As the name of a VLAN.
    package let name: String

    private init(checked name: String) {
        self.name = name
    }

    /// - Returns: nil when `name` is not a name.
    package init?(_ name: String) {
        guard ShortName.isValid(name) else { return nil }
        self.name = name
    }
}

extension PoolID: CustomStringConvertible, Comparable {
    package var description: String {
        self.name
    }

    package static func < (left: PoolID, right: PoolID) -> Bool {
        left.name < right.name
    }
}

/// Names that administrators give and people type.
enum ShortName {
    static let maximumByteCount = 32

    /// 1 to 32 of the characters A-Z, a-z, 0-9, dot, dash and underscore.
    static func isValid(_ name: String) -> Bool {
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        return allowed && (1...Self.maximumByteCount).contains(name.utf8.count)
    }
}

/// What the hypervisor hands out to prove a right: 128 random bits that mean something only together with the session
/// that they were given to. `Right` says which right, so that one token cannot be given where another is asked for.
package struct Token<Right>: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

extension Token: CustomStringConvertible {
    /// Only the first digits: a token in a log must not be one that can be used.
    package var description: String {
        hexadecimal(self.high).prefix(4) + "…"
    }
}

/// The right of the partition that created an SMB (seed A18).
package enum OwnerRight {}
/// The right of the peer that accepted an SMB (seed A19).
package enum BufferRight {}
/// The right to interrupt one counterpart about one SMB (seed A20).
package enum SignalRight {}

/// One of the two rights to an SMB's memory, for instructions that both holders have (seed A31, A32).
package enum BufferAccess: Hashable, Sendable {
    case owner(OwnerToken)
    case peer(BufferToken)
}

package typealias OwnerToken = Token<OwnerRight>
package typealias BufferToken = Token<BufferRight>
package typealias SignalToken = Token<SignalRight>

/// Names one binding of an SMB to one peer until the peer accepts or rejects it.
///
/// It travels through the TCP connection, as the DMB token of a CLC Accept or Confirm, so it is not a secret: it is
/// good only for the session that the SMB was bound to.
package struct OfferToken: Hashable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

extension OfferToken: CustomStringConvertible {
    package var description: String {
        hexadecimal(self.rawValue)
    }
}

private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
