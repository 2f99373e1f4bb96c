package import SMCWire

extension FallbackReason {
    /// The diagnosis code that tells a peer this reason in a Decline (RFC 7609, 4.5.2.4; PROTOCOL 2.7).
    package func diagnosis(for path: DecisionRecord.PathKind) -> DeclineDiagnosis {
        switch self.code {
        case .notOffered, .hypervisorRefused, .peerDidNotOffer: .configurationError
        case .noHypervisor: .noSMCDDevice
        case .differentCEC, .differentVLAN: .noSMCDv2Device
        case .poolExhausted: .dmbLimitExceeded
        case .memoryNotCommon, .internalError: .internalError
        case .noDevice: path == .rdma ? .noSMCRDevice : .noSMCDDevice
        case .noRoute: .noRouteToPeer
        case .noCommonUEID: .noUEID
        case .registrationFailed: .bufferRegistrationFailed
        case .linkFailed: .queuePairNotReady
        case .peerDeclined: .peerDeclined
        case .peerWithoutSMC: .peerDidNotIndicateSMC
        case .synchronization: .synchronizationError
        case .timeout: .confirmLinkTimeout
        case .versionMismatch: .versionMismatch
        }
    }

    /// The reason behind a peer's Decline.
    package init(peerDiagnosis diagnosis: DeclineDiagnosis) {
        let code: Code =
            switch diagnosis {
            case .dmbLimitExceeded: .poolExhausted
            case .noUEID: .noCommonUEID
            case .noDevice, .noSMCRDevice: .noDevice
            case .noSMCDDevice: .noHypervisor
            case .noSMCDv2Device: .differentCEC
            case .bufferRegistrationFailed: .registrationFailed
            case .noRouteToPeer: .noRoute
            case .queuePairNotReady, .confirmLinkTimeout: .linkFailed
            case .synchronizationError: .synchronization
            default: .peerDeclined
            }
        // The standard has one code for both, and its words mean little to those who have no such device.
        let meaning = diagnosis == .noSMCDv2Device ? "no VLAN of one machine has both ends; " : ""
        self.init(code, "the peer declined: \(meaning)\(diagnosis)")
    }

    /// Which path a peer's diagnosis speaks of; nil when it may be either.
    package static func path(of diagnosis: DeclineDiagnosis) -> DecisionRecord.PathKind? {
        switch diagnosis {
        case .dmbLimitExceeded, .noSMCDDevice, .noSMCDv2Device, .noISMv2Support, .noSMCDv2Extension, .noSEID:
            .sharedMemory
        case .noSMCRDevice, .noUEID, .noRouteToPeer, .bufferRegistrationFailed, .queuePairNotReady,
            .confirmLinkTimeout, .synchronizationError, .noActiveLink, .serverLinkNotFound:
            .rdma
        default: nil
        }
    }
}
