import SMCWire
import Testing

struct ProposalTests {
    @Test func linux612() throws {
        guard case .proposal(let proposal) = try CLCMessage(decoding: GoldenFrames.linux612[0].bytes) else {
            Issue.record("no Proposal")
            return
        }
        #expect(
            proposal
                == Proposal(
                    modesV2: .rdma, peerID: .zero, macAddress: .zero,
                    v2Extension: ProposalV2Extension(
                        eids: [try #require(EID("SMBTEST"))], release: 1, roceGID: GID(ipv4Address: 0x0a4d_0002),
                        maxConnections: 255, maxLinks: 2, featureMask: .emulatedISM)))
    }

    @Test func linux61() throws {
        guard case .proposal(let proposal) = try CLCMessage(decoding: GoldenFrames.linux61[0].bytes) else {
            Issue.record("no Proposal")
            return
        }
        let v2 = try #require(proposal.v2Extension)
        #expect(v2.release == 0 && v2.maxConnections == 0 && v2.maxLinks == 0 && v2.featureMask == [])
        #expect(v2.eids.map(\.text) == ["SMBTEST"])
        #expect(v2.roceGID.description == "::ffff:10.77.0.2")
    }

    @Test func everything() throws {
        let message = CLCMessage.proposal(
            Proposal(
                modesV2: .both, modesV1: .both, peerID: PeerID(rawValue: 0xa650_5254_0000_0002),
                gid: GID(rawValue: 0xfe80_0000_0000_0000_5054_00ff_fe00_0002),
                macAddress: MACAddress(rawValue: 0x5254_0000_0002),
                ismDevice: Proposal.ISMDevice(gid: 0x0102_0304_0506_0708, channel: 7), vendorOUI: 0x5e,
                vendorOptions: 0x01_0203_0405,
                ipArea: IPArea(
                    ipv4Subnet: 0x0a4d_0000, ipv4PrefixLength: 24,
                    ipv6Prefixes: [IPArea.IPv6Prefix(prefix: 0x2001_0db8 << 96, length: 64)]),
                v2Extension: ProposalV2Extension(
                    eids: [try #require(EID("SMBTEST")), try #require(EID("ABC"))], release: 1, isSEIDEnabled: true,
                    roceGID: GID(ipv4Address: 0x0a4d_0002), maxConnections: 16, maxLinks: 2, featureMask: .emulatedISM,
                    smcd: SMCDV2Extension(
                        seid: try #require(EID("IBM-SYSZ-ISMSEID0000000012348561")),
                        devices: [
                            DMBDevice(gid: SMGID(gid: 0x1112_1314_1516_1718, extendedGID: 0), channel: 5),
                            DMBDevice(
                                gid: SMGID(gid: 0x2122_2324_2526_2728, extendedGID: 0x3132_3334_3536_3738),
                                channel: 0xffff),
                        ]))))
        #expect(message.encoded() == ConstructedFrames.proposalAll.bytes)
        #expect(try CLCMessage(decoding: ConstructedFrames.proposalAll.bytes) == message)
    }

    @Test func version1() throws {
        guard case .proposal(let proposal) = try CLCMessage(decoding: ConstructedFrames.proposalV1.bytes) else {
            Issue.record("no Proposal")
            return
        }
        #expect(proposal.version == .one && proposal.modesV1 == .rdma && proposal.modesV2 == .none)
        #expect(proposal.ipArea == IPArea(ipv4Subnet: 0x0a4d_0000, ipv4PrefixLength: 24))
        #expect(proposal.ismDevice == nil && proposal.v2Extension == nil)
        #expect(proposal.peerID.instance == 0xa650 && proposal.peerID.macAddress == proposal.macAddress)
    }

    @Test func emulatedDeviceWithoutItsSecondEntryIsRefused() {
        var bytes = ConstructedFrames.proposalAll.bytes
        bytes[bytes.count - 6] = 0xfe  // The channel of the second entry.
        #expect(throws: WireError.badValue(field: "channel of an extended GID", value: 0xfeff)) {
            try CLCMessage(decoding: bytes)
        }
    }

    @Test(arguments: SMCModes.allCases) func modesAreTheirParts(modes: SMCModes) {
        #expect(SMCModes(rdma: modes.includesRDMA, dmb: modes.includesDMB) == modes)
    }
}
