/// Which carriers a client offers in one version, as two bits of the Proposal's header (PROTOCOL 2.1).
package enum SMCModes: UInt8, Hashable, Sendable, CaseIterable {
    /// SMC-R.
    case rdma = 0
    /// SMC-D: direct memory buffers on one machine.
    case dmb = 1
    case none = 2
    case both = 3

    package init(rdma: Bool, dmb: Bool) {
        switch (rdma, dmb) {
        case (true, true): self = .both
        case (true, false): self = .rdma
        case (false, true): self = .dmb
        case (false, false): self = .none
        }
    }

    package var includesRDMA: Bool { self == .rdma || self == .both }
    package var includesDMB: Bool { self == .dmb || self == .both }

    /// From the low two bits; each of the four values has a meaning.
    init(lowBitsOf bits: UInt8) {
        self =
            switch bits & 3 {
            case 0: .rdma
            case 1: .dmb
            case 2: .none
            default: .both
            }
    }
}
