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
    /// Size classes of the pool.
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
}
