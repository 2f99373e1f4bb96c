import SMCProtocol
import SMCWire
import Testing

/// Reasons, the diagnoses that tell a peer of them, and what a person reads.
struct FallbackReasonTests {
    typealias Code = FallbackReason.Code

    @Test(arguments: Code.allCases) func everyReasonHasADiagnosisWithAName(code: Code) {
        for path in DecisionRecord.PathKind.allCases {
            let diagnosis = FallbackReason(code, "").diagnosis(for: path)
            #expect(DeclineDiagnosis.named.contains { $0.diagnosis == diagnosis }, "\(code) on \(path): \(diagnosis)")
        }
    }

    /// What the peer understands is what we meant, or at least not something else.
    @Test(arguments: [
        (Code.noHypervisor, DecisionRecord.PathKind.sharedMemory, Code.noHypervisor),
        (.differentCEC, .sharedMemory, .differentCEC), (.differentVLAN, .sharedMemory, .differentCEC),
        (.poolExhausted, .sharedMemory, .poolExhausted), (.noDevice, .rdma, .noDevice), (.noRoute, .rdma, .noRoute),
        (.noCommonUEID, .rdma, .noCommonUEID), (.registrationFailed, .rdma, .registrationFailed),
        (.linkFailed, .rdma, .linkFailed), (.timeout, .rdma, .linkFailed), (.synchronization, .rdma, .synchronization),
        (.versionMismatch, .rdma, .peerDeclined), (.internalError, .sharedMemory, .peerDeclined),
        (.notOffered, .rdma, .peerDeclined), (.hypervisorRefused, .sharedMemory, .peerDeclined),
        (.peerWithoutSMC, .rdma, .peerDeclined),
    ])
    func reasonsSurviveTheWire(sent: Code, path: DecisionRecord.PathKind, read: Code) {
        let diagnosis = FallbackReason(sent, "x").diagnosis(for: path)
        #expect(FallbackReason(peerDiagnosis: diagnosis).code == read)
    }

    /// A diagnosis that speaks of one medium is never counted against the other.
    @Test(arguments: Code.allCases) func diagnosesKeepToTheirPath(code: Code) {
        for path in [DecisionRecord.PathKind.sharedMemory, .rdma] {
            guard let spoken = FallbackReason.path(of: FallbackReason(code, "").diagnosis(for: path)) else { continue }
            // These codes exist for one path only.
            let isOfBoth = ![
                Code.noHypervisor, .differentCEC, .differentVLAN, .poolExhausted, .noRoute, .noCommonUEID,
                .registrationFailed, .linkFailed, .timeout, .synchronization,
            ].contains(code)
            if isOfBoth { #expect(spoken == path, "\(code)") }
        }
    }

    @Test func aPeersDiagnosisIsShownInWordsAndDigits() {
        let known = FallbackReason(peerDiagnosis: .noUEID)
        #expect(known.detail.contains("03030008"))
        #expect(known.detail.contains("no user EID in common"))
        let unknown = FallbackReason(peerDiagnosis: DeclineDiagnosis(rawValue: 0x12))
        #expect(unknown.code == .peerDeclined)
        #expect(unknown.detail.contains("00000012"))
    }

    @Test func aPersonLearnsWhatWouldMendIt() {
        let withoutRemedy: Set<Code> = [
            .differentCEC, .synchronization, .timeout, .versionMismatch, .internalError,
        ]
        for code in Code.allCases {
            #expect((FallbackReason(code, "").remedy == nil) == withoutRemedy.contains(code), "\(code)")
        }
        #expect(FallbackReason(.noCommonUEID, "").remedy?.contains("--ueid") == true)
        #expect(FallbackReason(.noHypervisor, "").remedy?.contains("smc hypervisor") == true)
    }

    /// Programs rely on them.
    @Test func codesAreStable() {
        #expect(
            Code.allCases.map(\.rawValue) == [
                "not-offered", "no-hypervisor", "hypervisor-refused", "different-cec", "different-vlan",
                "pool-exhausted", "memory-not-common", "no-rdma-device", "no-rdma-route", "no-common-ueid",
                "registration-failed", "link-failed", "peer-declined", "peer-without-smc", "peer-did-not-offer",
                "synchronization", "timeout", "version-mismatch", "internal-error",
            ])
    }
}
