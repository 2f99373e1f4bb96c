internal import SMCSystem
package import SMCWire

/// Instructions that a connection does not need: of those who use SMBs directly, and of administrators.
extension HypervisorSession {
    // MARK: Addresses

    /// One more address (A24, A39).
    package func establish(_ vlan: VLANID) throws(ControlError) -> Membership.Address {
        guard case .addresses(let new) = try self.ask(.establish(vlan)), let address = new.first else {
            throw Self.wrongAnswer
        }
        return address
    }

    /// Our addresses (A24).
    package func addresses() throws(ControlError) -> [Membership.Address] {
        guard case .addresses(let addresses) = try self.ask(.addresses) else { throw Self.wrongAnswer }
        return addresses
    }

    /// Gives an address up; forced: with all SMBs that hang on it.
    package func withdraw(_ address: SMGID, isForced: Bool) throws(ControlError) {
        try self.perform(.withdraw(address, isForced: isForced))
    }

    // MARK: SMBs without a mapping

    /// As ``createSMB(ringByteCount:on:)``, but for SM Move only: no memory comes with it.
    package func createUnmappedSMB(ringByteCount: Int, on address: SMGID) throws(ControlError) -> CreatedRecord {
        let request = ControlRequest.createSMB(ringByteCount: max(0, ringByteCount), on: address, isMapped: false)
        guard case .created(let record) = try self.ask(request), !record.isMapped else { throw Self.wrongAnswer }
        return record
    }

    /// As ``accept(_:from:)``, but for SM Move only: no memory comes with it.
    package func acceptUnmapped(_ offer: OfferToken, from owner: SMGID) throws(ControlError) -> AcceptedRight {
        try self.call(.accept(offer, from: owner, isMapped: false)) { (response, descriptors) throws(ControlError) in
            guard case .accepted(let record) = response, !record.isMapped else { throw Self.wrongAnswer }
            return AcceptedRight(record: record, signal: try Self.grant(record.signal, &descriptors))
        }
    }

    /// Who has our SMB, and who has it on offer.
    package func bindings(_ owner: OwnerToken) throws(ControlError) -> [BindingRecord] {
        guard case .bindings(let records, _) = try self.ask(.bindings(owner)) else { throw Self.wrongAnswer }
        return records
    }

    /// SM Move out of an SMB (A31): at most ``ControlLimits/moveByteCount`` bytes.
    package func read(_ access: BufferAccess, offset: Int, byteCount: Int) throws(ControlError) -> [UInt8] {
        let request = ControlRequest.read(access, offset: offset, byteCount: byteCount)
        guard case .bytes(let bytes) = try self.ask(request), bytes.count == byteCount else { throw Self.wrongAnswer }
        return bytes
    }

    /// SM Move into an SMB (A31): at most ``ControlLimits/moveByteCount`` bytes.
    package func write(_ access: BufferAccess, offset: Int, bytes: [UInt8]) throws(ControlError) {
        try self.perform(.write(access, offset: offset, bytes: bytes))
    }

    /// SM CS Move of an aligned word (A32).
    ///
    /// - Returns: what it held before.
    package func compareAndMove(
        _ access: BufferAccess, offset: Int, expected: UInt64, desired: UInt64
    ) throws(ControlError) -> UInt64 {
        let request = ControlRequest.compareAndMove(access, offset: offset, expected: expected, desired: desired)
        guard case .original(let word) = try self.ask(request) else { throw Self.wrongAnswer }
        return word
    }

    /// SIGB (A33).
    package func signal(_ token: SignalToken) throws(ControlError) {
        try self.perform(.signal(token))
    }

    /// Reads and clears our status bits of a pair (A55): bit b is bit b mod 64 of word b div 64.
    package func takeStatusBits(pair: UInt64) throws(ControlError) -> [UInt64] {
        guard case .statusBits(let words) = try self.ask(.takeStatusBits(pair: pair)) else { throw Self.wrongAnswer }
        return words
    }

    // MARK: Administration

    /// What only administrators may ask (A58).
    package func administer(_ request: AdministrativeRequest) throws(ControlError) {
        switch try self.ask(.administer(request)) {
        case .done, .poolChanged: return
        default: throw Self.wrongAnswer
        }
    }
}

/// A peer's SMB that we may SM Move into and out of, without a mapping.
package struct AcceptedRight: ~Copyable, Sendable {
    package let record: AcceptedRecord
    package let signal: SignalGrant

    init(record: AcceptedRecord, signal: consuming SignalGrant) {
        self.record = record
        self.signal = signal
    }

    /// Takes it apart.
    package consuming func takeSignal() -> SignalGrant {
        self.signal
    }
}
