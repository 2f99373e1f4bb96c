/// The kinds of LLC message by the low bits of the first byte (PROTOCOL 3.1, 3.2).
package enum LLCMessageType: UInt8, Hashable, Sendable, CaseIterable {
    case confirmLink = 0x01
    case addLink = 0x02
    /// Version 1 only.
    case addLinkContinuation = 0x03
    case deleteLink = 0x04
    /// Version 2 only.
    case requestAddLink = 0x05
    case confirmRKey = 0x06
    case testLink = 0x07
    /// Version 1 only.
    case confirmRKeyContinuation = 0x08
    case deleteRKey = 0x09

    /// The first byte of the message in this version; nil if the version does not have it.
    package func firstByte(in version: ProtocolVersion) -> UInt8? {
        switch (version, self) {
        case (.one, .requestAddLink), (.two, .addLinkContinuation), (.two, .confirmRKeyContinuation): nil
        case (.one, _): self.rawValue
        case (.two, _): 0x20 | self.rawValue
        }
    }
}
