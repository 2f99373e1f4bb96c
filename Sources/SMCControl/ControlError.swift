package import SMCSystem
package import SMCWire

/// Why a call to the hypervisor did not give what was asked.
package enum ControlError: Error, Sendable {
    /// The hypervisor said no; the text is its own sentence with names and numbers.
    case refused(HypervisorRefusal, String)
    /// There is no hypervisor, or no longer; established connections do not need it.
    case unavailable(String)
    /// The hypervisor did not answer in time. What it does later with the request is taken back by the next call.
    case timedOut
    /// The other side does not keep to the protocol. The session is over.
    case protocolViolation(String)
    case system(SystemCallError)
}

extension ControlError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .refused(let refusal, let text): text.isEmpty ? refusal.sentence : text
        case .unavailable(let text): text
        case .timedOut: "the hypervisor did not answer in time; it may be stopped or overloaded"
        case .protocolViolation(let text): "the hypervisor broke the protocol: \(text)"
        case .system(let error): error.description
        }
    }
}
