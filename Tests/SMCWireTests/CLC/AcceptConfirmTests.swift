import SMCWire
import Testing

struct AcceptConfirmTests {
    @Test func linux612Accept() throws {
        guard case .accept(let accept) = try CLCMessage(decoding: GoldenFrames.linux612[1].bytes),
            case .rdma(let endpoint) = accept.body
        else {
            Issue.record("no Accept over RDMA")
            return
        }
        #expect(accept.version == .two && accept.isFirstContact)
        #expect(accept.negotiatedEID == EID("SMBTEST"))
        #expect(
            accept.firstContactExtension
                == FirstContactExtension(
                    isV2Direct: true, operatingSystem: .linux, release: 1, hostName: HostName("(none)"),
                    maxConnections: 255, maxLinks: 2, featureMask: .emulatedISM))
        #expect(
            endpoint
                == RDMAEndpoint(
                    peerID: PeerID(instance: 0xd60f, macAddress: MACAddress(rawValue: 0x5254_0000_0001)),
                    gid: GID(ipv4Address: 0x0a4d_0001), macAddress: MACAddress(rawValue: 0x5254_0000_0001),
                    queuePairNumber: 17, rkey: 0x356, elementIndex: 1, alertToken: 1,
                    elementSize: try #require(CompressedSize(rawValue: 2)), mtu: .bytes4096,
                    address: 0xff11_0000_076f_0000, initialPSN: 0xf28a9d))
        #expect(endpoint.elementSize.byteCount == 65536 && endpoint.mtu.byteCount == 4096)
    }

    @Test func linux612Confirm() throws {
        guard case .confirm(let confirm) = try CLCMessage(decoding: GoldenFrames.linux612[2].bytes),
            case .rdma(let endpoint) = confirm.body
        else {
            Issue.record("no Confirm over RDMA")
            return
        }
        #expect(confirm.gids == [GID(ipv4Address: 0x0a4d_0002)])
        #expect(endpoint.rkey == 0x336 && endpoint.initialPSN == 0x95a57b && endpoint.queuePairNumber == 17)
        #expect(endpoint.address == 0xff11_0000_077b_0000)
        #expect(confirm.firstContactExtension?.hostName.text == "(none)")
    }

    @Test func linux61IsRelease0() throws {
        guard case .accept(let accept) = try CLCMessage(decoding: GoldenFrames.linux61[1].bytes) else {
            Issue.record("no Accept")
            return
        }
        #expect(accept.firstContactExtension?.release == 0 && accept.firstContactExtension?.maxLinks == 0)
    }

    @Test func reuseHasNoExtension() throws {
        guard case .confirm(let confirm) = try CLCMessage(decoding: ConstructedFrames.confirmV2Reuse.bytes) else {
            Issue.record("no Confirm")
            return
        }
        #expect(!confirm.isFirstContact && confirm.firstContactExtension == nil && confirm.gids.isEmpty)
        #expect(confirm.negotiatedEID?.text == "SMBTEST")
    }

    @Test func emulatedDMB() throws {
        let message = CLCMessage.accept(
            Accept(
                body: .dmb(
                    DMBEndpoint(
                        gid: SMGID(gid: 0x0102_0304_0506_0708, extendedGID: 0x2122_2324_2526_2728),
                        dmbToken: 0x1112_1314_1516_1718, elementSize: try #require(CompressedSize(holding: 65536)),
                        linkID: 0xa1a2_a3a4, channel: 0xffff)),
                negotiatedEID: try #require(EID("SMBTEST")),
                firstContactExtension: FirstContactExtension(
                    isV2Direct: false, release: 0, hostName: HostName("host"))))
        #expect(message.encoded() == ConstructedFrames.acceptDMBRelease0.bytes)
        #expect(try CLCMessage(decoding: ConstructedFrames.acceptDMBRelease0.bytes) == message)
    }

    @Test func extendedGIDIsReservedWhenNotEmulated() throws {
        var bytes = ConstructedFrames.acceptDMBV2Reuse.bytes
        bytes[66] = 0xff
        #expect(try CLCMessage(decoding: bytes).encoded() == ConstructedFrames.acceptDMBV2Reuse.bytes)
    }

    @Test func reservedEndOfTheExtensionIsKept() throws {
        guard case .confirm(let confirm) = try CLCMessage(decoding: ConstructedFrames.confirmDMBRelease1.bytes) else {
            Issue.record("no Confirm")
            return
        }
        #expect(confirm.firstContactExtension?.reserved == 0x1020_3040_5060_7080)
        #expect(confirm.firstContactExtension?.vendorOptions == 0x0102_0304)
    }

    @Test func impossibleCodesAreRefused() {
        var bytes = ConstructedFrames.acceptV1.bytes
        bytes[50] = 0x26
        #expect(throws: WireError.badValue(field: "path MTU", value: 6)) { try CLCMessage(decoding: bytes) }
        bytes = ConstructedFrames.acceptV1.bytes
        bytes[45] = 0
        #expect(throws: WireError.badValue(field: "RMB element index", value: 0)) { try CLCMessage(decoding: bytes) }
        bytes = ConstructedFrames.acceptV1.bytes
        bytes[7] = 0x1a
        #expect(throws: WireError.badValue(field: "mode", value: 2)) { try CLCMessage(decoding: bytes) }
    }
}
