package import SMCWire

/// Numbers a session for as long as the hypervisor lives; the shell draws it, so no partition can choose it.
package struct CallerID: Hashable, Sendable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// Who a session belongs to, as the kernel says, and what it may do, as the configuration says.
package struct CallerIdentity: Hashable, Sendable {
    package var processID: Int32
    package var userID: UInt32
    /// All groups of the process: they decide which partitions' names it may use.
    package var groupIDs: [UInt32]
    package var roles: Roles

    package init(processID: Int32, userID: UInt32, groupIDs: [UInt32] = [], roles: Roles = .none) {
        self.processID = processID
        self.userID = userID
        self.groupIDs = groupIDs
        self.roles = roles
    }
}

/// What can happen to the hypervisor.
package enum Instruction: Hashable, Sendable {
    /// A session began.
    case open(CallerIdentity)
    /// The configuration was read again: the session's roles are others now.
    case setRoles(Roles)
    /// A session asks for something.
    case request(ControlRequest)
    /// A session shows memory of an earlier hypervisor, which the shell has checked.
    case reregister(Reregistration, MemoryIdentity)
    /// It asked, and was refused for want of memory which cannot be had: what takes a right away is done all the same.
    case insist(ControlRequest)
    /// A session ended, for whatever reason: all that it held is taken back.
    case close
}

/// What the shell must do because of an instruction, in this order.
package enum Effect: Hashable, Sendable {
    /// Make the two status bit arrays and the two events of a pair.
    case createPair(PairID)
    /// Copy what the old block holds into the new one.
    case replace(BlockID, with: BlockID)
    /// Attach the descriptor of this block's memory to the answer.
    case sendBlock(BlockID)
    /// Attach the pair's descriptors to the answer: the arrays and events of these two directions.
    case sendPair(PairID, incoming: Direction, outgoing: Direction)
    /// Set this bit in the array of this direction, and signal its event (SIGB).
    case notify(PairID, Direction, bit: Int)
    /// Say in both arrays that the counterpart is gone, and signal both events.
    case markGone(PairID)
    /// The same, and that an administrator took the right to share memory away.
    case markRevoked(PairID)
    /// Close what belongs to the pair.
    case dropPair(PairID)
    /// Nobody has a right to this block any more: wait until nobody has it in fact, zero it, then call
    /// ``Hypervisor/reclaimed(_:)``.
    case reclaim(BlockID)
    /// Keep the descriptor that came with the request: as long as it is open, no other memory has this identity.
    case keepAdopted(AdoptedID)
    /// Close it: nobody holds the memory any more.
    case dropAdopted(AdoptedID)
    /// Make this memory, piece by piece; then call ``Hypervisor/grown(_:)`` and answer, or refuse when it cannot be had.
    case makeBlocks(PoolGrowth)
    /// These blocks are in the books no more, and nobody has them: their memory goes back to the system.
    case dropBlocks([BlockID])
    /// Put these bytes of the block into the answer.
    case read(BlockID, offset: Int, byteCount: Int)
    /// Store these bytes in the block.
    case write(BlockID, offset: Int, bytes: [UInt8])
    /// Exchange an aligned word of the block if it is as expected, and put what it was into the answer.
    case compareAndMove(BlockID, offset: Int, expected: UInt64, desired: UInt64)
    /// Read the configuration again; the answer waits for what comes of it.
    case readSettings
    /// Take all bits of the arrays of these directions, and put them into the answer.
    case takeStatusBits(PairID, [Direction])
}

/// What came of an instruction. A refusal has no effects and leaves the books as they were.
package struct Outcome: Hashable, Sendable {
    /// Where an effect says "put into the answer", this has the right kind but not yet the contents.
    package var response: ControlResponse
    package var effects: [Effect]
    /// What the audit log shall know: first the instruction itself (if ``AuditRecord/Action/isKept``, or it was
    /// refused), then what followed from it.
    package var records: [AuditRecord]
}

/// A refusal inside the model.
struct Refused: Error {
    let code: HypervisorRefusal
    let text: String

    init(_ code: HypervisorRefusal, _ text: String? = nil) {
        self.code = code
        self.text = text ?? code.sentence
    }
}
