package import SMCControl
package import SMCProtocol
package import SMCWire

/// What a program sets for all its connections.
package struct PartitionConfiguration: Sendable {
    /// Where the hypervisor is.
    package var hypervisor = HypervisorLocator.automatic(.init())
    /// What `smc status` calls this program.
    package var name = "program"
    /// VLANs to join; empty: the hypervisor's default.
    package var vlans: [VLANID] = []
    /// Paths that may be taken. Without any but TCP, nothing of SMC is said on the wire.
    package var paths: Set<DecisionRecord.PathKind> = [.sharedMemory, .rdma, .tcp]
    /// Enterprise IDs; two hosts use RDMA between them only if they have one in common (PROTOCOL 2.3).
    package var userEIDs: [EID] = [.standard]
    /// Bytes of the ring that each connection receives into, over shared memory: a power of two, 16 KiB or more.
    package var sharedMemoryRingByteCount = 262_144
    /// As above, over RDMA.
    package var rdmaRingByteCount = 262_144
    /// How connections wait that were not told otherwise.
    package var waiting = Waiting.adaptive
    /// Longer messages are neither sent nor received.
    package var messageByteCountMax = 1 << 30
    /// How long setting a connection up may take, from the first byte of TCP on.
    package var handshakeTimeout: Duration = .seconds(10)
    /// How long a listener waits for a client's first bytes before it takes it for a plain TCP client that waits for the
    /// server to speak first.
    package var firstBytesTimeout: Duration = .seconds(1)
    /// A peer whose host vanished is noticed on TCP within about this time.
    package var deadPeerLimit: Duration = .seconds(8)
    /// How long closing waits until everything that was sent has arrived.
    package var flushTimeout: Duration = .seconds(10)

    package init() {}
}

extension EID {
    /// The UEID of programs that were given none.
    package static let standard: EID = {
        guard let eid = EID("SWIFT-SMC") else { preconditionFailure("a valid UEID") }
        return eid
    }()
}
