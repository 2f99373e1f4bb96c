import SMCProtocol
import SMCWire
import Testing

/// What the two ends of a handshake can use, made up.
enum Offers {
    static let clientAddress = SMGID(gid: 0x11, extendedGID: 0xc1)
    static let serverAddress = SMGID(gid: 0x22, extendedGID: 0xc2)
    static let clientGID = GID(ipv4Address: 0x0a00_0002)
    static let serverGID = GID(ipv4Address: 0x0a00_0001)
    static let thisCEC = EID("SWIFTSMCTHIS")!
    static let otherCEC = EID("SWIFTSMCOTHER")!
    static let common = EID("COMMON")!
    static let lonely = EID("LONELY")!
    static let noHypervisor = FallbackReason(.noHypervisor, "no hypervisor here")
    static let noDevice = FallbackReason(.noDevice, "no RNIC here")

    struct Choice: Hashable, CustomTestStringConvertible {
        var hasSharedMemory: Bool
        var hasRDMA: Bool
        var cec = Offers.thisCEC
        var userEIDs = [Offers.common]

        static let all = [(true, true), (true, false), (false, true), (false, false)].map {
            Choice(hasSharedMemory: $0.0, hasRDMA: $0.1)
        }

        var testDescription: String {
            "memory \(self.hasSharedMemory), RDMA \(self.hasRDMA), \(self.cec.text), \(self.userEIDs.map(\.text))"
        }
    }

    static func client(_ choice: Choice) -> LocalOffer {
        self.offer(choice, address: self.clientAddress, gid: self.clientGID, instance: 0xc11e_0001, host: "client")
    }

    static func server(_ choice: Choice) -> LocalOffer {
        self.offer(choice, address: self.serverAddress, gid: self.serverGID, instance: 0x5e44_0002, host: "server")
    }

    private static func offer(
        _ choice: Choice, address: SMGID, gid: GID, instance: UInt32, host: String
    ) -> LocalOffer {
        var record = DecisionRecord()
        if !choice.hasSharedMemory { record.refuse(.sharedMemory, self.noHypervisor) }
        if !choice.hasRDMA { record.refuse(.rdma, self.noDevice) }
        return LocalOffer(
            peerID: PeerID(instance: UInt16(truncatingIfNeeded: instance), macAddress: MACAddress(rawValue: 0x52_5400)),
            instance: instance, hostName: HostName(host),
            sharedMemory: choice.hasSharedMemory
                ? LocalOffer.SharedMemory(addresses: [address], systemEID: choice.cec) : nil,
            rdma: choice.hasRDMA
                ? LocalOffer.RDMA(gid: gid, macAddress: MACAddress(rawValue: 0x52_5401), userEIDs: choice.userEIDs)
                : nil,
            record: record)
    }

    static func memory(_ address: SMGID, token: UInt64) -> CLCBody {
        .dmb(
            DMBEndpoint(
                gid: address, dmbToken: token, elementSize: CompressedSize(holding: 65_536)!, linkID: 7,
                channel: HandshakeConstants.channel))
    }

    static func link(_ gid: GID, queuePair: UInt32) -> CLCBody {
        .rdma(
            RDMAEndpoint(
                peerID: PeerID(rawValue: UInt64(queuePair)), gid: gid, macAddress: MACAddress(rawValue: 1),
                queuePairNumber: queuePair, rkey: 3, alertToken: 4, elementSize: CompressedSize(holding: 65_536)!,
                mtu: .bytes1024, address: 0x1000, initialPSN: 5))
    }

    /// A message as the other end gets it: through its bytes.
    static func travel(_ message: CLCMessage) throws -> CLCMessage {
        try CLCMessage(decoding: message.encoded())
    }
}
