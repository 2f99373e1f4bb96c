/// What a session asks of the hypervisor: the instructions of seed A24-A34, and the books that people look at.
package enum ControlRequest: Hashable, Sendable {
    /// The first message of each session: are we of one version?
    case hello
    /// Become a partition with an address on each of these VLANs; none means the default one (A39).
    case join(name: String, vlans: [VLANID])
    /// One more address, on this VLAN (A24, A39).
    case establish(VLANID)
    /// My addresses (A24).
    case addresses
    /// Give an address of mine up. Forced: with all SMBs that hang on it.
    case withdraw(SMGID, isForced: Bool)
    /// Is that address on this CEC, and on a VLAN that I am on? (A45)
    case queryCommonCEC(SMGID)
    /// Take an SMB from the pool for one of my addresses (A25, A43). Not mapped: reach it by SM Move only.
    case createSMB(ringByteCount: Int, on: SMGID, isMapped: Bool = true)
    /// Offer an SMB of mine to a peer; once for each peer (A27, A47).
    case bind(OwnerToken, to: SMGID)
    /// Take an SMB that was offered to me (A28, A50). Not mapped: reach it by SM Move only.
    case accept(OfferToken, from: SMGID, isMapped: Bool = true)
    /// Turn an offer down (A29).
    case reject(OfferToken, from: SMGID)
    /// Let go of a peer's SMB that I had accepted (A30).
    case unbindBuffer(BufferToken)
    /// Take my SMB back from one peer, or from all (A30).
    case unbindOwner(OwnerToken, from: SMGID? = nil)
    /// Replace the memory of my SMB, so that nobody who had it has it any more.
    case renew(OwnerToken)
    /// Give an SMB of mine back to the pool (A26).
    case destroy(OwnerToken)
    /// Who has my SMB, and who has it on offer.
    case bindings(OwnerToken)
    /// SM Move out of an SMB (A31).
    case read(BufferAccess, offset: Int, byteCount: Int)
    /// SM Move into an SMB (A31).
    case write(BufferAccess, offset: Int, bytes: [UInt8])
    /// SM CS Move of an aligned 64-bit word in the machine's byte order (A32).
    case compareAndMove(BufferAccess, offset: Int, expected: UInt64, desired: UInt64)
    /// SIGB: set the SMB's status bit at the counterpart and interrupt it (A33, A54).
    case signal(SignalToken)
    /// Read and clear the status bits that the counterpart of this pair has set for me (A21, A55).
    case takeStatusBits(pair: UInt64)
    /// Tell what a connection runs on, for `smc status`.
    case report(ConnectionReport)
    /// A connection that was reported is over.
    case reportClosed(UInt64)
    /// The books, from this item on.
    case status(firstItem: Int)
    /// What only administrators may ask.
    case administer(AdministrativeRequest)
}
