/// What is fuzzed. The name is that of the corpus's folder.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// A packet that a client sends to the hypervisor.
    case controlRequest = "control-request"
    /// A packet that a hypervisor sends to a client.
    case controlResponse = "control-response"
    /// Whole sessions of several clients with the hypervisor's model.
    case hypervisorSessions = "hypervisor-sessions"
    /// CLC, LLC and CDC messages of a peer.
    case peerMessages = "peer-messages"

    /// Runs the target on one input. A trap is a fault as well.
    ///
    /// - Returns: what is wrong, nil when all is well.
    package func run(_ bytes: [UInt8]) -> String? {
        switch self {
        case .controlRequest: checkControlRequest(bytes)
        case .controlResponse: checkControlResponse(bytes)
        case .hypervisorSessions: SessionFuzzer.check(bytes)
        case .peerMessages: checkPeerMessage(bytes)
        }
    }
}
