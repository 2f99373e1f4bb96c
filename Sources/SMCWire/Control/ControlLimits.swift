/// Bounds of what the control socket carries. Both ends hold them, so that neither can be made to keep more.
package enum ControlLimits {
    /// Bytes of one packet, either way; far below the kernel's default socket buffer of 208 KiB.
    package static let packetByteCount = 65_536
    /// Bytes of a partition's name.
    package static let nameByteCount = 64
    /// VLANs that one partition may join.
    package static let vlansPerPartition = 16
    /// VLANs that one hypervisor may have.
    package static let vlansPerHypervisor = 64
    /// Size classes of one pool: at most one for each size of a ring, 16 KiB to 512 MiB.
    package static let poolClasses = 16
    /// Bytes of a ring that anybody may ask for, so that sizes never overflow.
    package static let ringByteCount = 1 << 30
    /// Bytes of the sentence that goes with a refusal.
    package static let refusalTextByteCount = 512
    /// Bytes of a path in a connection report.
    package static let pathByteCount = 64
    /// Bytes of the reason in a connection report.
    package static let reasonByteCount = 512
    /// Bytes of a socket address in a connection report.
    package static let socketAddressByteCount = 64
    /// Items in one page of a status answer. 48 of the longest, and the tables before them, fit into one packet.
    package static let itemsPerStatusPage = 48
    /// Descriptors that the answer to `accept` carries: the SMB, two arrays, two events.
    package static let descriptorsPerAnswer = 5
    /// Pools that one hypervisor may have.
    package static let poolsPerHypervisor = 8
    /// Entries of the table of pools: each pool has some size classes.
    package static let poolEntries = poolsPerHypervisor * poolClasses
    /// Peers that one SMB may be bound to at a time.
    package static let bindingsPerSMB = 256
    /// Addresses of one partition, over all its VLANs.
    package static let addressesPerPartition = vlansPerPartition
    /// Users, and groups, that may use one partition's name.
    package static let usersPerPartition = 64
    /// Partitions that administrators may define.
    package static let partitionDefinitions = 4096
    /// Partitions that may be authorised on one VLAN.
    package static let authorisationsPerVLAN = 4096
    /// Bytes that one SM Move carries through the hypervisor; with its header it fits into one packet.
    package static let moveByteCount = 61_440
    /// 64-bit words of a status bit array.
    package static let statusWords = 504
}
