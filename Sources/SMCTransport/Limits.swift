/// Bounds of this module, each with its reason.
package enum Limits {
    /// Bytes that one store publishes: large enough that publishing costs nothing, small enough that the copies of both
    /// sides overlap.
    package static let bytesPerStore = 65_536
    /// How long the first bytes of a client that was silent are kept back while they may be the beginning of a Proposal.
    package static let latecomerPatience: Duration = .seconds(2)
    /// How long a peer's closing message may be on its way over RDMA when its TCP connection has ended already.
    package static let closingMessageGrace: Duration = .seconds(2)
}
