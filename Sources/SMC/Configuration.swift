internal import SMCControl
internal import SMCMemory
internal import SMCTransport
internal import SMCWire

/// What a program may set for its partition; the defaults need nothing to be set up.
public struct Configuration: Hashable, Sendable {
    /// Where the hypervisor is.
    public enum Hypervisor: Hashable, Sendable {
        /// The system's, else the user's own, which is started if need be (`smc` must be in `PATH`).
        case automatic
        /// The one that listens on this socket.
        case socket(String)
        /// None: no shared memory.
        case none
    }

    /// Where the memory comes from that programs of one machine share.
    public var hypervisor = Hypervisor.automatic
    /// What `smc status` calls the program.
    public var name = "program"
    /// VLANs to join, by name; empty: the hypervisor's default one.
    public var vlans: [String] = []
    /// Paths that may be taken. With TCP alone, nothing of SMC is said on the wire. TCP is always possible: it is what
    /// is left.
    public var paths: Set<Path> = Set(Path.allCases)
    /// Names under which hosts share RDMA: up to 32 of `A-Z 0-9 . -`. Both ends need one in common.
    public var userEIDs = ["SWIFT-SMC"]
    /// Bytes that may be on their way to us over shared memory: a power of two, 16 KiB or more.
    public var sharedMemoryRingByteCount = 262_144
    /// As above, over RDMA.
    public var rdmaRingByteCount = 262_144
    /// How connections wait that were not told otherwise.
    public var waiting = Waiting.adaptive
    /// Longer messages are neither sent nor received (``Connection/sendMessage(_:until:)``).
    public var messageByteCountMax = 1 << 30
    /// How long setting a connection up may take.
    public var handshakeTimeout: Duration = .seconds(10)
    /// How long a listener waits for a client's first bytes before the program may speak first.
    public var firstBytesTimeout: Duration = .seconds(1)

    /// The defaults.
    public init() {}

    func translated() throws(SMCError) -> PartitionConfiguration {
        var result = PartitionConfiguration()
        switch self.hypervisor {
        case .automatic: result.hypervisor = .automatic(.init())
        case .socket(let path): result.hypervisor = .socket(path)
        case .none: result.hypervisor = .none
        }
        result.name = self.name
        for name in self.vlans {
            guard let vlan = VLANID(name) else {
                throw SMCError(
                    .invalidConfiguration, "'\(name)' is no VLAN name: 1 to 32 letters, digits, '.', '-', '_'")
            }
            result.vlans.append(vlan)
        }
        result.paths = Set(self.paths.map(\.kind))
        result.userEIDs = []
        for name in self.userEIDs {
            guard let eid = EID(name) else {
                throw SMCError(
                    .invalidConfiguration,
                    "'\(name)' is no UEID: up to 32 of A-Z, 0-9, '.', '-', a letter or digit first")
            }
            result.userEIDs.append(eid)
        }
        guard result.userEIDs.count <= ProposalV2Extension.eidCountMax else {
            throw SMCError(.invalidConfiguration, "at most \(ProposalV2Extension.eidCountMax) UEIDs")
        }
        for size in [self.sharedMemoryRingByteCount, self.rdmaRingByteCount] {
            guard BufferElementLayout.isValid(ringByteCount: size) else {
                throw SMCError(
                    .invalidConfiguration, "a ring of \(size) bytes: it must be a power of two from 16 KiB to 512 MiB")
            }
        }
        result.sharedMemoryRingByteCount = self.sharedMemoryRingByteCount
        result.rdmaRingByteCount = self.rdmaRingByteCount
        guard (0...Int(UInt32.max)).contains(self.messageByteCountMax) else {
            throw SMCError(
                .invalidConfiguration, "messages of up to \(self.messageByteCountMax) bytes: 4 GiB are the most")
        }
        result.waiting = self.waiting.mode
        result.messageByteCountMax = self.messageByteCountMax
        result.handshakeTimeout = self.handshakeTimeout
        result.firstBytesTimeout = self.firstBytesTimeout
        return result
    }
}
