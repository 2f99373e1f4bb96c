internal import SMCSystem

/// One connection to the control socket.
final class DaemonSession {
    let link: SharedUnixSocket
    let caller: CallerID
    let credentials: PeerCredentials
    /// All groups of the process, the supplementary ones too.
    let groupIDs: Set<UInt32>
    /// Whether its user may use this hypervisor.
    let isAllowed: Bool
    /// Until then it must have said something; nil once it has.
    var handshakeDeadline: ContinuousClock.Instant?

    init(
        link: SharedUnixSocket, caller: CallerID, credentials: PeerCredentials, groupIDs: Set<UInt32>,
        isAllowed: Bool,
        handshakeDeadline: ContinuousClock.Instant
    ) {
        self.link = link
        self.caller = caller
        self.credentials = credentials
        self.groupIDs = groupIDs
        self.isAllowed = isAllowed
        self.handshakeDeadline = handshakeDeadline
    }
}
