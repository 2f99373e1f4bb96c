/// Why a path was not taken, in words for a person, with what would mend it.
package struct FallbackReason: Error, Hashable, Sendable {
    /// What kind of reason it is; stable, for programs.
    package enum Code: String, Hashable, Sendable, CaseIterable {
        case notOffered = "not-offered"
        case noHypervisor = "no-hypervisor"
        case hypervisorRefused = "hypervisor-refused"
        case differentCEC = "different-cec"
        case differentVLAN = "different-vlan"
        case poolExhausted = "pool-exhausted"
        case memoryNotCommon = "memory-not-common"
        case noDevice = "no-rdma-device"
        case noRoute = "no-rdma-route"
        case noCommonUEID = "no-common-ueid"
        case registrationFailed = "registration-failed"
        case linkFailed = "link-failed"
        case peerDeclined = "peer-declined"
        case peerWithoutSMC = "peer-without-smc"
        case peerDidNotOffer = "peer-did-not-offer"
        case synchronization = "synchronization"
        case timeout = "timeout"
        case versionMismatch = "version-mismatch"
        case internalError = "internal-error"
    }

    package var code: Code
    /// What was found, with names and numbers.
    package var detail: String

    package init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// What a person can do about it, or nil when nothing is wrong.
    package var remedy: String? {
        switch self.code {
        case .notOffered: "allow the path in the configuration"
        case .noHypervisor: "start 'smc hypervisor', or put 'smc' into PATH so that it is started by itself"
        case .hypervisorRefused: "see 'smc status' and the hypervisor's log"
        case .differentCEC: nil
        case .differentVLAN: "join both programs to one VLAN (--vlan)"
        case .poolExhausted: "start the hypervisor with a larger --pool, or close connections"
        case .memoryNotCommon: "let both programs use one hypervisor of one machine"
        case .noDevice: "add one: 'rdma link add rxe0 type rxe netdev DEVICE' (soft-RoCE), or use an address on an RNIC"
        case .noRoute: "check 'rdma link' and that both addresses lie on RDMA-capable devices"
        case .noCommonUEID: "give both ends a common UEID (--ueid)"
        case .registrationFailed: "raise the memory lock limit ('ulimit -l', LimitMEMLOCK=) or use fewer connections"
        case .linkFailed: "check that UDP port 4791 (RoCEv2) passes between the hosts"
        case .peerDeclined, .peerDidNotOffer: "look at the peer's own reason"
        case .peerWithoutSMC: "run swift-smc at the other end"
        case .synchronization, .timeout, .versionMismatch, .internalError: nil
        }
    }
}

extension FallbackReason: CustomStringConvertible {
    package var description: String { self.detail }
}
