import SMCWire
import Testing

struct LLCMessageTests {
    static let server = MACAddress(rawValue: 0x5254_0000_0001)
    static let serverGID = GID(ipv4Address: 0x0a4d_0001)

    @Test func confirmLink() throws {
        let message = ConfirmLink(
            lengthByteOrder: .little, isResponse: false, macAddress: Self.server, gid: Self.serverGID,
            queuePairNumber: 17, linkNumber: 1, linkUserID: 0x101, maxLinks: 2, maxConnections: 255)
        #expect(try LLCMessage(decoding: GoldenFrames.linux612[3].bytes) == .confirmLink(message))
        var bigEndian = message
        bigEndian.lengthByteOrder = .big
        #expect(bigEndian.encoded() == ConstructedFrames.confirmLinkV2.bytes)
        bigEndian.version = .one
        bigEndian.maxConnections = 0
        #expect(bigEndian.encoded() == ConstructedFrames.confirmLinkV1.bytes)
        #expect(try LLCMessage(decoding: GoldenFrames.linux612[4].bytes).isResponse)
    }

    @Test func addLinkWithKeys() throws {
        let message = AddLink(
            lengthByteOrder: .little, isResponse: false, macAddress: Self.server, gid: Self.serverGID,
            queuePairNumber: 18, linkNumber: 2, mtu: .bytes4096, initialPSN: 0xcea1b4,
            v2Extension: AddLink.V2Extension(
                isDirect: true, clientTargetGID: Self.serverGID,
                rkeys: [NewLinkRKey(rkey: 0x356, newLinkRKey: 0x5bf, newLinkAddress: 0xff11_0000_076f_0000)],
                countByteOrder: .little))
        #expect(try LLCMessage(decoding: GoldenFrames.linux612[5].bytes) == .addLink(message))
    }

    @Test func addLinkRejected() throws {
        guard case .addLink(let captured) = try LLCMessage(decoding: GoldenFrames.linux612[6].bytes) else {
            Issue.record("no Add Link")
            return
        }
        #expect(captured.isResponse && captured.isRejected && captured.rejectReason == .none)
        #expect(captured.v2Extension == nil)
        guard case .addLink(let version1) = try LLCMessage(decoding: ConstructedFrames.addLinkRejectV1.bytes) else {
            Issue.record("no Add Link")
            return
        }
        #expect(version1.isRejected && version1.rejectReason == .noAlternatePath)
        guard case .addLink(let version2) = try LLCMessage(decoding: ConstructedFrames.addLinkV2.bytes) else {
            Issue.record("no Add Link")
            return
        }
        #expect(version2.rejectReason == .badMTU && version2.v2Extension?.rkeys.map(\.rkey) == [0x3be, 0x3bf])
        #expect(version2.lengthByteOrder == .big && version2.v2Extension?.countByteOrder == .big)
    }

    @Test func invitationHasNoMTU() throws {
        let message = AddLink(
            version: .one, isResponse: false, macAddress: .zero, gid: .zero, queuePairNumber: 0, linkNumber: 0,
            mtu: nil, initialPSN: 0)
        #expect(try LLCMessage(decoding: message.encoded()) == .addLink(message))
    }

    @Test func keysOfBuffers() throws {
        let confirm = ConfirmRKey(
            version: .one, rkey: 0x3be, address: 0x1000,
            otherLinks: [LinkRKey(linkNumber: 2, rkey: 0x4be, address: 0x2000)])
        #expect(try LLCMessage(decoding: ConstructedFrames.confirmRKey.bytes) == .confirmRKey(confirm))
        let delete = DeleteRKey(lengthByteOrder: .little, rkeys: [0x356])
        #expect(try LLCMessage(decoding: GoldenFrames.linux612[11].bytes) == .deleteRKey(delete))
        let response = DeleteRKey(lengthByteOrder: .little, isResponse: true, rkeys: [0])
        #expect(try LLCMessage(decoding: GoldenFrames.linux612[12].bytes) == .deleteRKey(response))
    }

    @Test func restOfTheKeysFollows() throws {
        let links = (2...6).map { LinkRKey(linkNumber: $0, rkey: UInt32($0), address: 0) }
        let first = ConfirmRKey(version: .one, rkey: 1, address: 0, otherLinks: links)
        #expect(first.otherLinkCount == 5 && first.otherLinks == Array(links.prefix(2)))
        #expect(try LLCMessage(decoding: first.encoded()) == .confirmRKey(first))
        let second = ConfirmRKeyContinuation(remainingCount: 3, links: Array(links.suffix(3)))
        #expect(try LLCMessage(decoding: second.encoded()) == .confirmRKeyContinuation(second))
    }

    /// Linux answers with 44 bytes, however many keys the request had.
    @Test func shortResponseToManyKeys() throws {
        let bytes = Frame("", "292c00a0 14 02 00*38").bytes
        let response = DeleteRKey(
            lengthByteOrder: .little, isResponse: true, isNegative: true, failures: 2,
            rkeys: Array(repeating: 0, count: 20))
        #expect(try LLCMessage(decoding: bytes) == .deleteRKey(response))
        #expect(response.encoded() == bytes)
        var request = bytes
        request[3] = 0
        #expect(throws: WireError.self) { try LLCMessage(decoding: request) }
    }

    @Test func endOfTheGroup() throws {
        let message = DeleteLink(
            version: .one, deletesAll: true, isOrderly: true, reason: .programInitiated)
        #expect(try LLCMessage(decoding: ConstructedFrames.deleteLinkAll.bytes) == .deleteLink(message))
        let response = DeleteLink(isResponse: true, isOrderly: false, linkNumber: 2, reason: .unknownLink)
        #expect(try LLCMessage(decoding: ConstructedFrames.deleteLinkResponseV2.bytes) == .deleteLink(response))
    }

    @Test func testLink() throws {
        let message = TestLink(version: .one, userData: 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f)
        #expect(try LLCMessage(decoding: ConstructedFrames.testLink.bytes) == .testLink(message))
    }

    @Test func unknownFirstBytesAreNamed() {
        let known: Set<UInt8> = [1, 2, 3, 4, 6, 7, 8, 9, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x29]
        for value in UInt8.min..<0xfe where !known.contains(value) {
            let bytes = [value, 44, 0, 0] + [UInt8](repeating: 0, count: 40)
            #expect(throws: WireError.unknownType(value)) { try LinkFrame(decoding: bytes) }
        }
        for type in LLCMessageType.allCases {
            for version in ProtocolVersion.allCases {
                if let byte = type.firstByte(in: version) { #expect(known.contains(byte)) }
            }
        }
    }
}
