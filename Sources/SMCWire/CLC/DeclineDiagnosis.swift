/// Why a side declined (PROTOCOL 2.7). Only for people to read: all codes have the same effect.
///
/// Codes that are not listed here are kept as they came.
package struct DeclineDiagnosis: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let noMemory = DeclineDiagnosis(rawValue: 0x0101_0000)
    package static let confirmLinkTimeout = DeclineDiagnosis(rawValue: 0x0201_0000)
    package static let addLinkTimeout = DeclineDiagnosis(rawValue: 0x0202_0000)
    package static let configurationError = DeclineDiagnosis(rawValue: 0x0300_0000)
    /// A local reason; never sent.
    package static let peerDidNotIndicateSMC = DeclineDiagnosis(rawValue: 0x0301_0000)
    package static let ipSecInUse = DeclineDiagnosis(rawValue: 0x0302_0000)
    package static let noDevice = DeclineDiagnosis(rawValue: 0x0303_0000)
    package static let noSMCDDevice = DeclineDiagnosis(rawValue: 0x0303_0001)
    package static let noSMCRDevice = DeclineDiagnosis(rawValue: 0x0303_0002)
    package static let noISMv2Support = DeclineDiagnosis(rawValue: 0x0303_0003)
    package static let noV2Extension = DeclineDiagnosis(rawValue: 0x0303_0004)
    package static let noSMCDv2Extension = DeclineDiagnosis(rawValue: 0x0303_0005)
    package static let noSEID = DeclineDiagnosis(rawValue: 0x0303_0006)
    package static let noSMCDv2Device = DeclineDiagnosis(rawValue: 0x0303_0007)
    package static let noUEID = DeclineDiagnosis(rawValue: 0x0303_0008)
    package static let releaseNegotiationFailed = DeclineDiagnosis(rawValue: 0x0303_0009)
    package static let maxConnectionsNegotiationFailed = DeclineDiagnosis(rawValue: 0x0303_000a)
    package static let maxLinksNegotiationFailed = DeclineDiagnosis(rawValue: 0x0303_000b)
    package static let modeMismatch = DeclineDiagnosis(rawValue: 0x0304_0000)
    package static let rmbeEyeCatcher = DeclineDiagnosis(rawValue: 0x0305_0000)
    package static let optionNotSupported = DeclineDiagnosis(rawValue: 0x0306_0000)
    package static let ipPrefixMismatch = DeclineDiagnosis(rawValue: 0x0307_0000)
    package static let cannotGetVLAN = DeclineDiagnosis(rawValue: 0x0308_0000)
    package static let cannotRegisterVLAN = DeclineDiagnosis(rawValue: 0x0309_0000)
    package static let noActiveLink = DeclineDiagnosis(rawValue: 0x030a_0000)
    package static let serverLinkNotFound = DeclineDiagnosis(rawValue: 0x030b_0000)
    package static let versionMismatch = DeclineDiagnosis(rawValue: 0x030c_0000)
    package static let dmbLimitExceeded = DeclineDiagnosis(rawValue: 0x030d_0000)
    package static let noRouteToPeer = DeclineDiagnosis(rawValue: 0x030e_0000)
    package static let directMismatch = DeclineDiagnosis(rawValue: 0x030f_0000)
    package static let synchronizationError = DeclineDiagnosis(rawValue: 0x0400_0000)
    /// A local reason; never sent.
    package static let peerDeclined = DeclineDiagnosis(rawValue: 0x0500_0000)
    package static let internalError = DeclineDiagnosis(rawValue: 0x0999_0000)
    package static let remoteTokenFailed = DeclineDiagnosis(rawValue: 0x0999_0001)
    package static let queuePairNotReady = DeclineDiagnosis(rawValue: 0x0999_0002)
    package static let bufferRegistrationFailed = DeclineDiagnosis(rawValue: 0x0999_0003)

    /// The codes that have a name, each with a sentence.
    package static let named: [(diagnosis: DeclineDiagnosis, text: String)] = [
        (.noMemory, "no memory or no buffers are left"),
        (.confirmLinkTimeout, "the peer did not answer Confirm Link in time"),
        (.addLinkTimeout, "the peer did not answer Add Link in time"),
        (.configurationError, "the configuration does not allow it"),
        (.peerDidNotIndicateSMC, "the peer did not announce SMC on its TCP connection"),
        (.ipSecInUse, "the connection uses IPsec"),
        (.noDevice, "there is no SMC device, neither for RDMA nor for internal shared memory"),
        (.noSMCDDevice, "there is no device for internal shared memory (SMC-D)"),
        (.noSMCRDevice, "there is no RDMA device (SMC-R)"),
        (.noISMv2Support, "the internal shared memory device cannot do version 2"),
        (.noV2Extension, "the Proposal lacks the version 2 extension"),
        (.noSMCDv2Extension, "the Proposal lacks the SMC-Dv2 extension"),
        (.noSEID, "there is no system EID"),
        (.noSMCDv2Device, "there is no device for internal shared memory in version 2 (SMC-Dv2)"),
        (.noUEID, "the two sides have no user EID in common"),
        (.releaseNegotiationFailed, "the two sides found no release of version 2 that both know"),
        (.maxConnectionsNegotiationFailed, "the two sides found no number of connections per link group"),
        (.maxLinksNegotiationFailed, "the two sides found no number of links per link group"),
        (.modeMismatch, "one side wants RDMA, the other internal shared memory"),
        (.rmbeEyeCatcher, "the peer wants eye catchers in receive buffers"),
        (.optionNotSupported, "a socket option is in use that SMC cannot honour (TCP fast open)"),
        (.ipPrefixMismatch, "the two sides are not in the same IP network"),
        (.cannotGetVLAN, "the VLAN of the IP device cannot be found out"),
        (.cannotRegisterVLAN, "the VLAN cannot be registered on the internal shared memory device"),
        (.noActiveLink, "the link group has no active link"),
        (.serverLinkNotFound, "the client does not know the link that the server chose"),
        (.versionMismatch, "the two sides speak different versions of SMC"),
        (.dmbLimitExceeded, "no more buffers can be registered for internal shared memory"),
        (.noRouteToPeer, "there is no route to the peer's RDMA address"),
        (.directMismatch, "one side sees an IP gateway between the two, the other does not"),
        (.synchronizationError, "the two sides do not agree on the state of the link group"),
        (.peerDeclined, "the peer declined"),
        (.internalError, "an internal error"),
        (.remoteTokenFailed, "the peer's buffer keys could not be taken over"),
        (.queuePairNotReady, "the queue pair could not be made ready"),
        (.bufferRegistrationFailed, "the buffer could not be registered"),
    ]
}

extension DeclineDiagnosis: CustomStringConvertible {
    /// What the code means, with its number.
    package var description: String {
        let text = Self.named.first { $0.diagnosis == self }?.text ?? "a reason that has no name here"
        return "\(text) (0x\(hexadecimal(UInt64(self.rawValue), digits: 8)))"
    }
}
