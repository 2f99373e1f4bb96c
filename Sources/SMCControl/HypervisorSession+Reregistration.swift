package import SMCSystem
package import SMCWire

extension HypervisorSession {
    /// Enters an SMB of an earlier hypervisor, which we own and whose memory we still hold, into the books of this one.
    ///
    /// - Parameter address: one of our own; it says on which VLAN the SMB is.
    /// - Returns: the token that takes the place of the old one.
    package func reregisterOwned(
        _ file: borrowing MemoryFile, ringByteCount: Int, on address: SMGID
    ) throws(ControlError) -> OwnerToken {
        guard case .owner(let token) = try self.reregister(.owner, file, ringByteCount, address) else {
            throw Self.wrongAnswer
        }
        return token
    }

    /// As ``reregisterOwned(_:ringByteCount:on:)``, for a peer's SMB that we had accepted.
    package func reregisterAccepted(
        _ file: borrowing MemoryFile, ringByteCount: Int, on address: SMGID
    ) throws(ControlError) -> BufferToken {
        guard case .peer(let token) = try self.reregister(.peer, file, ringByteCount, address) else {
            throw Self.wrongAnswer
        }
        return token
    }

    private func reregister(
        _ role: Reregistration.Role, _ file: borrowing MemoryFile, _ ringByteCount: Int, _ address: SMGID
    ) throws(ControlError) -> ReregisteredToken {
        let registration = Reregistration(
            role: role, ringByteCount: ringByteCount, fileByteCount: file.byteCount, address: address)
        return try self.call(.reregister(registration), descriptor: file.descriptor.rawValue) {
            (response, _) throws(ControlError) in
            guard case .reregistered(let token) = response else { throw Self.wrongAnswer }
            return token
        }
    }
}
