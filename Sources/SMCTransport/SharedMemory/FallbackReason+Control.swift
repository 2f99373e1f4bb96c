internal import SMCControl
internal import SMCProtocol
internal import SMCWire

extension FallbackReason {
    /// Why the hypervisor could not do what we asked.
    init(control error: ControlError) {
        switch error {
        case .refused(let refusal, let text): self.init(refusal: refusal, text.isEmpty ? refusal.sentence : text)
        case .unavailable, .timedOut: self.init(.noHypervisor, "no hypervisor: \(error)")
        case .protocolViolation, .system: self.init(.internalError, "the hypervisor: \(error)")
        }
    }

    init(refusal: HypervisorRefusal, _ text: String) {
        let code: Code =
            switch refusal {
            case .poolExhausted: .poolExhausted
            case .notOnCommonVLAN, .unknownVLAN: .differentVLAN
            case .unknownPartition: .differentCEC
            default: .hypervisorRefused
            }
        self.init(code, text.isEmpty ? refusal.sentence : text)
    }
}
