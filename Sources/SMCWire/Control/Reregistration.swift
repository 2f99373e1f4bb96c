/// What a partition says of an SMB of an earlier hypervisor that it still holds. The memory's descriptor goes with it
/// and proves it: whoever has it has the memory.
///
/// Nothing of this is believed. The hypervisor looks at the file itself, and knows by its identity which two
/// registrations are of one SMB.
package struct Reregistration: Hashable, Sendable {
    /// Which right the partition had.
    package enum Role: UInt8, Hashable, Sendable, CaseIterable {
        /// It created the SMB.
        case owner = 1
        /// It accepted the SMB.
        case peer
    }

    package var role: Role
    /// Bytes of the ring.
    package var ringByteCount: Int
    /// Bytes of the file: control area and ring.
    package var fileByteCount: Int
    /// One of the partition's own addresses; it says on which VLAN the SMB is.
    package var address: SMGID

    package init(role: Role, ringByteCount: Int, fileByteCount: Int, address: SMGID) {
        self.role = role
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
        self.address = address
    }
}

/// The new token for an SMB that was re-registered. The old ones are worth nothing.
package enum ReregisteredToken: Hashable, Sendable {
    case owner(OwnerToken)
    case peer(BufferToken)
}

extension Reregistration {
    func encode(into body: inout ControlWriter) {
        body.integer(self.role.rawValue)
        body.count(self.ringByteCount)
        body.count(self.fileByteCount)
        body.address(self.address)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        guard let role = Role(rawValue: try body.integer(UInt8.self)) else { throw .invalidField("role") }
        self.role = role
        self.ringByteCount = try body.count("ring size", limit: ControlLimits.ringByteCount)
        self.fileByteCount = try body.count("file size", limit: 2 * ControlLimits.ringByteCount)
        self.address = try body.address()
    }
}

extension ReregisteredToken {
    func encode(into body: inout ControlWriter) {
        switch self {
        case .owner(let token):
            body.integer(Reregistration.Role.owner.rawValue)
            body.token(token)
        case .peer(let token):
            body.integer(Reregistration.Role.peer.rawValue)
            body.token(token)
        }
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        switch Reregistration.Role(rawValue: try body.integer(UInt8.self)) {
        case .owner: self = .owner(try body.token(OwnerToken.self))
        case .peer: self = .peer(try body.token(BufferToken.self))
        case nil: throw .invalidField("role")
        }
    }
}
