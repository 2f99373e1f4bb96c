package import SMCWire

/// Numbers a session for as long as the hypervisor lives; the shell draws it, so no partition can choose it.
package struct CallerID: Hashable, Sendable {
    package var rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// Who a session belongs to, as the kernel says.
package struct CallerIdentity: Hashable, Sendable {
    package var processID: Int32
    package var userID: UInt32

    package init(processID: Int32, userID: UInt32) {
        self.processID = processID
        self.userID = userID
    }
}

/// What can happen to the hypervisor.
package enum Instruction: Hashable, Sendable {
    /// A session began.
    case open(CallerIdentity)
    /// A session asks for something.
    case request(ControlRequest)
    /// A session ended, for whatever reason: all that it held is taken back.
    case close
}

/// What the shell must do because of an instruction, in this order.
package enum Effect: Hashable, Sendable {
    /// Make the two status bit arrays and the two events of a pair.
    case createPair(PairID)
    /// Attach the descriptor of this block's memory to the answer.
    case sendBlock(BlockID)
    /// Attach the pair's descriptors to the answer: the arrays and events of these two directions.
    case sendPair(PairID, incoming: Direction, outgoing: Direction)
    /// Say in both arrays that the counterpart is gone, and signal both events.
    case markGone(PairID)
    /// Close what belongs to the pair.
    case dropPair(PairID)
    /// Nobody has a right to this block any more: wait until nobody has it in fact, zero it, then call
    /// ``Hypervisor/reclaimed(_:)``.
    case reclaim(BlockID)
    /// Make this memory, piece by piece; then call ``Hypervisor/grown(_:)`` and answer, or refuse when it cannot be had.
    case makeBlocks(PoolGrowth)
    /// These blocks are in the books no more, and nobody has them: their memory goes back to the system.
    case dropBlocks([BlockID])
}

/// What came of an instruction. A refusal has no effects and leaves the books as they were.
package struct Outcome: Hashable, Sendable {
    package var response: ControlResponse
    package var effects: [Effect]
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
