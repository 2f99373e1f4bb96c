import SMCTesting
import SMCWire
import Testing

/// The control socket's messages: what is written is read, and nothing else is.
@Suite struct ControlMessageTests {
    static let vlan = VLANID("web-1")!
    static let address = SMGID(gid: 0x0102_0304_0506_0708, extendedGID: 9)
    static let report = ConnectionReport(
        identifier: 7, vlan: vlan, path: "tcp", reason: "no common VLAN", local: "127.0.0.1:1", remote: "[::1]:2")

    static let requests: [ControlRequest] =
        [
            .hello, .join(name: "näme", vlans: [vlan, .default]), .queryCommonCEC(address),
            .createSMB(ringByteCount: 65536, on: address), .bind(OwnerToken(high: 1, low: 2), to: address),
            .accept(OfferToken(rawValue: 3), from: address), .reject(OfferToken(rawValue: 4), from: address),
            .unbindBuffer(BufferToken(high: 5, low: 6)), .unbindOwner(OwnerToken(high: 7, low: 8)),
            .unbindOwner(OwnerToken(high: 7, low: 8), from: address), .renew(OwnerToken(high: 1, low: 3)),
            .bindings(OwnerToken(high: 1, low: 4)), .createSMB(ringByteCount: 1, on: address, isMapped: false),
            .accept(OfferToken(rawValue: 3), from: address, isMapped: false),
            .destroy(OwnerToken(high: 9, low: 10)), .report(report), .reportClosed(11), .status(firstItem: 12),
            .establish(vlan), .addresses, .withdraw(address, isForced: true), .signal(SignalToken(high: 1, low: 2)),
            .read(.owner(OwnerToken(high: 1, low: 2)), offset: 3, byteCount: 4),
            .write(.peer(BufferToken(high: 1, low: 2)), offset: 3, bytes: [4, 5, 6]),
            .compareAndMove(.peer(BufferToken(high: 1, low: 2)), offset: 8, expected: 1, desired: .max),
            .takeStatusBits(pair: 17),
        ] + administration.map { .administer($0) }

    static let definition = VLANDefinition(
        vlan, pool: PoolID("fast")!, sliceByteCount: 1 << 20, partitionLimitByteCount: 1 << 16, access: .authorised,
        isEnabled: false)
    static let partition = PartitionDefinition(name: "db", userIDs: [1, 1000], groupIDs: [27])
    static let authorisation = Authorisation(partition: "db", vlan: vlan, limitByteCount: 4096)
    static let administration: [AdministrativeRequest] = [
        .createVLAN(definition), .changeVLAN(VLANDefinition(vlan)), .destroyVLAN(vlan, isForced: true),
        .setFunction(isEnabled: true, vlan), .setFunction(isEnabled: false, nil), .setSlice(vlan, byteCount: 5),
        .setSlice(vlan, byteCount: nil), .createPartition(partition),
        .changePartition(PartitionDefinition(name: "x")), .destroyPartition("db", isForced: false),
        .authorise(authorisation), .authorise(Authorisation(partition: "db", vlan: vlan)),
        .revoke(partition: "db", vlan), .growPool(.default, byteCount: 1), .shrinkPool(.default, byteCount: 2), .reload,
    ]

    static let signal = SignalRecord(token: SignalToken(high: 1, low: 2), pair: 3, bit: 4, hasNewPair: true)
    static var books: HypervisorStatus {
        HypervisorStatus(
            processID: 1, cec: CECID(high: 2, low: 3),
            pools: PoolStatus.Pages.allCases.map {
                PoolStatus(
                    pool: PoolID("big-1")!, pages: $0, ringByteCount: 16384, fileByteCount: 20480, blockCount: 9,
                    freeCount: 5, reclaimingCount: 1)
            },
            vlans: [VLANStatus(definition: definition, usedByteCount: 1, limitByteCount: 2, partitionCount: 3)],
            partitions: [
                PartitionStatus(
                    name: "a", processID: 4, userID: 5, addresses: [Membership.Address(vlan: vlan, smgid: address)])
            ],
            smbs: SMBStatus.State.allCases.map {
                SMBStatus(
                    number: 9, vlan: vlan, owner: address, peer: nil, ringByteCount: 16384, state: $0, isTainted: true)
            },
            connections: [ConnectionStatus(partition: "a", report: report)], definitions: [partition],
            authorisations: [authorisation])
    }
    static let responses: [ControlResponse] =
        [
            .welcome, .done,
            .joined(
                Membership(
                    cec: CECID(high: 1, low: 2), addresses: [Membership.Address(vlan: vlan, smgid: address)],
                    hypervisorProcessID: 3, largestRingByteCount: 1 << 20)),
            .commonCEC(.common(on: vlan)), .commonCEC(.notCommon(.unknownPartition, "elsewhere")),
            .created(CreatedRecord(owner: OwnerToken(high: 1, low: 2), ringByteCount: 16384, fileByteCount: 20480)),
            .bound(OfferToken(rawValue: 1), signal),
            .accepted(
                AcceptedRecord(
                    buffer: BufferToken(high: 1, low: 2), ringByteCount: 16384, fileByteCount: 20480, signal: signal)),
            .status(StatusPage(of: books, firstItem: 0)), .bound(OfferToken(rawValue: 1), signal, replacement: 20480),
            .addresses([Membership.Address(vlan: vlan, smgid: address)]), .replaced(nil), .replaced(20480),
            .ended("no memory"), .poolChanged(byteCount: 1 << 40),
            .bytes([1, 2, 3]), .original(5), .statusBits([0, 1 << 63]),
            .bindings([BindingRecord(peer: address, isAccepted: true)], isTainted: true),
        ] + HypervisorRefusal.allCases.map { .refused($0, $0.sentence) }

    private func read(_ packet: [UInt8]) throws(ControlWireError) -> ControlRequest {
        try ControlRequest(decoding: packet, header: try ControlHeader(decoding: packet))
    }

    private func readResponse(_ packet: [UInt8]) throws(ControlWireError) -> ControlResponse {
        try ControlResponse(decoding: packet, header: try ControlHeader(decoding: packet))
    }

    @Test func headerIsFrozen() {
        let packet = ControlRequest.reportClosed(0x1122).encoded(requestID: 5)
        #expect(
            packet == [
                0x53, 0x4d, 0x43, 0x48, 0, 2, 0, 12, 0, 0, 0, 5, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0x11, 0x22,
            ])
    }

    @Test(arguments: requests) func requestsComeBack(request: ControlRequest) throws {
        #expect(try self.read(request.encoded(requestID: 1)) == request)
    }

    @Test(arguments: responses) func responsesComeBack(response: ControlResponse) throws {
        #expect(try self.readResponse(response.encoded(requestID: 1)) == response)
    }

    @Test func everyTruncationIsRefused() {
        for request in Self.requests {
            let packet = request.encoded(requestID: 1)
            for count in 0..<packet.count {
                #expect(throws: ControlWireError.self) { try self.read(Array(packet.prefix(count))) }
                // The same with a header that tells the truth about the shortened packet.
                guard count >= ControlHeader.byteCount else { continue }
                var honest = Array(packet.prefix(count))
                honest[14] = UInt8(count >> 8)
                honest[15] = UInt8(count & 0xff)
                #expect(throws: ControlWireError.self) { try self.read(honest) }
            }
        }
    }

    @Test func lyingHeadersAreRefused() {
        let packet = ControlRequest.hello.encoded(requestID: 1)
        #expect(throws: ControlWireError.wrongLength(said: 16, arrived: 17)) { try self.read(packet + [0]) }
        var other = packet
        other[5] = 3
        #expect(throws: ControlWireError.unsupportedVersion(3)) { try self.read(other) }
        other = packet
        other[7] = 99
        #expect(throws: ControlWireError.unknownType(99)) { try self.read(other) }
        other = packet
        other[0] = 0
        #expect(throws: ControlWireError.notControl(magic: 0x4d4348)) { try self.read(other) }
        #expect(throws: ControlWireError.excessBytes(1)) {
            var longer = packet + [0]
            longer[15] = 17
            return try self.read(longer)
        }
    }

    /// Nothing that a mutation yields may trap; and what is read must be written and read again as the same.
    @Test(arguments: [1, 2, 3] as [UInt64]) func mutationsNeverTrap(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let packets =
            Self.requests.map { $0.encoded(requestID: 1) } + Self.responses.map { $0.encoded(requestID: 1) }
        for _ in 0..<20_000 {
            var packet = packets.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                packet[Int.random(in: 0..<packet.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let request = try? self.read(packet) {
                #expect(try self.read(request.encoded(requestID: 1)) == request)
            }
            if let response = try? self.readResponse(packet) {
                #expect(try self.readResponse(response.encoded(requestID: 1)) == response)
            }
        }
    }

    @Test func namesCannotForgeLines() throws {
        let evil = ControlRequest.join(name: "a\n\u{1b}[2Jb" + String(repeating: "é", count: 100), vlans: [])
        guard case .join(let name, _) = try self.read(evil.encoded(requestID: 1)) else { return }
        #expect(name.hasPrefix("a??[2Jb"))
        #expect(name.utf8.count <= ControlLimits.nameByteCount)
        var packet = ControlRequest.join(name: "abc", vlans: []).encoded(requestID: 1)
        packet[19] = 10
        #expect(throws: ControlWireError.invalidField("partition name")) { try self.read(packet) }
    }

    @Test(arguments: ["", "a b", "ü", String(repeating: "a", count: 33), "a/b"])
    func vlanNamesAreChecked(name: String) {
        #expect(VLANID(name) == nil)
    }

    @Test func theLongestPageFitsIntoAPacket() {
        let long = String(repeating: "x", count: 600)
        var books = Self.books
        let longVLAN = VLANID(String(repeating: "v", count: 32))!
        books.pools = Array(repeating: books.pools[0], count: ControlLimits.poolEntries)
        for index in books.pools.indices { books.pools[index].pool = PoolID(longVLAN.name)! }
        books.vlans = (0..<ControlLimits.vlansPerHypervisor).map { _ in
            VLANStatus(
                definition: VLANDefinition(
                    longVLAN, pool: PoolID(longVLAN.name)!, sliceByteCount: 1, partitionLimitByteCount: 1),
                usedByteCount: 1, limitByteCount: 1, partitionCount: 1)
        }
        let addresses = Array(
            repeating: Membership.Address(vlan: longVLAN, smgid: Self.address), count: ControlLimits.vlansPerPartition)
        books.partitions = Array(
            repeating: PartitionStatus(name: long, processID: 1, userID: 1, addresses: addresses), count: 100)
        let page = ControlResponse.status(StatusPage(of: books, firstItem: 0)).encoded(requestID: 1)
        #expect(page.count <= ControlLimits.packetByteCount)
        books.partitions = []
        books.smbs = []
        let report = ConnectionReport(
            identifier: 1, vlan: longVLAN, path: long, reason: long, local: long, remote: long)
        books.connections = Array(repeating: ConnectionStatus(partition: long, report: report), count: 100)
        let other = ControlResponse.status(StatusPage(of: books, firstItem: 0)).encoded(requestID: 1)
        #expect(other.count <= ControlLimits.packetByteCount)
        let identifiers = Array(repeating: UInt32.max, count: ControlLimits.usersPerPartition)
        books.connections = []
        books.definitions = Array(
            repeating: PartitionDefinition(name: long, userIDs: identifiers, groupIDs: identifiers), count: 100)
        let third = ControlResponse.status(StatusPage(of: books, firstItem: 0)).encoded(requestID: 1)
        #expect(third.count <= ControlLimits.packetByteCount)
    }

    @Test func theLongestMoveFitsIntoAPacket() {
        let bytes = [UInt8](repeating: 1, count: ControlLimits.moveByteCount)
        let request = ControlRequest.write(.owner(OwnerToken(high: 1, low: 2)), offset: 0, bytes: bytes)
        #expect(request.encoded(requestID: 1).count <= ControlLimits.packetByteCount)
        #expect(ControlResponse.bytes(bytes).encoded(requestID: 1).count <= ControlLimits.packetByteCount)
    }

    @Test func tokensDoNotShowThemselves() {
        #expect("\(OwnerToken(high: 0x1234_5678_9abc_def0, low: 5))" == "1234…")
    }
}
