import Foundation
import SMCControl
import SMCHypervisor
import SMCMemory
import SMCSystem
import SMCWire
import Testing

/// Taking memory away from a peer that does not let it go: a process of its own that keeps its mapping and its
/// descriptor, and passes them on.
@Suite(.serialized) struct DaemonRevocationTests {
    /// An SMB of a partition of this process, with its mapping.
    private final class Owned {
        let partition: TestPartition
        let token: OwnerToken
        let mapping: Mapping
        let ring: Range<Int>

        init(_ partition: TestPartition, filledWith byte: UInt8) throws {
            self.partition = partition
            let created = try partition.session.createSMB(ringByteCount: 16_384, on: partition.address)
            self.token = created.owner
            self.mapping = try Mapping(created.file)
            self.ring = 4096..<created.file.byteCount
            self.fill(byte)
        }

        func fill(_ byte: UInt8) {
            self.mapping.write([UInt8](repeating: byte, count: self.ring.count), at: self.ring.lowerBound)
        }

        var bytes: [UInt8] { self.mapping.read(self.ring.count, at: self.ring.lowerBound) }
        var seen: Set<UInt8> { Set(self.bytes) }

        func offer(to peer: SMGID) throws -> OfferToken {
            let bound = try self.partition.session.bind(self.token, to: peer)
            return try self.take(bound)
        }

        private func take(_ bound: consuming BoundSMB) throws -> OfferToken {
            let offer = bound.offer
            if bound.replacement != nil { try Self.map(bound, over: self.mapping) }
            return offer
        }

        private static func map(_ bound: borrowing BoundSMB, over mapping: Mapping) throws {
            switch bound.replacement {
            case .some(let file): try mapping.replace(with: file)
            case .none: break
            }
        }

        /// Takes it back, and maps what comes in its place.
        func unbind(from peer: SMGID? = nil) throws {
            let replacement = try present(try self.partition.session.unbind(self.token, from: peer))
            try self.mapping.replace(with: replacement)
        }
    }

    private static func reclaiming(_ status: HypervisorStatus) -> Int {
        status.pools.reduce(0) { $0 + $1.reclaimingCount }
    }

    private static func accept(_ partition: TestPartition, _ offer: OfferToken, _ owner: SMGID) throws -> Mapping {
        try Mapping(try partition.session.accept(offer, from: owner).file)
    }

    private static let refusedAsBadToken = "refused \(HypervisorRefusal.badToken.rawValue)"

    @Test func aFormerPeerNeitherReadsNorWrites() throws {
        let daemon = try TestDaemon()
        let owned = try Owned(try TestPartition(daemon, "owner"), filledWith: 1)
        let (hostile, accomplice) = (try PeerProcess(), try PeerProcess())
        let hostileAddress = try hostile.join(daemon, "hostile")
        let offer = try owned.offer(to: hostileAddress)
        try hostile.accept(offer, from: owned.partition.address)
        #expect(try hostile.see() == [1])
        // The descriptor goes on to a process that the hypervisor never heard of.
        let path = daemon.directory + "/accomplice.sock"
        try accomplice.send("take \(path)")
        #expect(try accomplice.line() == "listening")
        try hostile.ask("pass \(path)")
        #expect(try accomplice.line() == "taken")
        #expect(try accomplice.see() == [1])

        try owned.unbind(from: hostileAddress)
        #expect(owned.seen == [1], "the owner keeps what was there")
        #expect(try Self.reclaiming(daemon.status()) == 1)
        owned.fill(2)
        #expect(try hostile.see() == [1] && accomplice.see() == [1], "what the owner writes is not seen")
        try hostile.ask("write 9")
        #expect(owned.seen == [2], "what is written is not seen by the owner")
        #expect(try hostile.ask("accept \(offer.rawValue) 1 1") == Self.refusedAsBadToken)
        #expect(try hostile.ask("unbind") == "done", "what ended by itself")
        #expect(try hostile.ask("unbind") == Self.refusedAsBadToken)

        // Nor by the next peer, nor by anybody who gets memory.
        let two = try TestPartition(daemon, "two")
        let mapping = try Self.accept(two, try owned.offer(to: two.address), owned.partition.address)
        mapping.write([UInt8](repeating: 3, count: owned.ring.count), at: 4096)
        #expect(owned.seen == [3])
        try hostile.ask("write 8")
        #expect(try owned.seen == [3] && hostile.see() == [8] && accomplice.see() == [8])
        try Self.checkThatNobodyGets(daemon, two, hostile)

        try hostile.ask("drop mapping")
        try hostile.ask("drop descriptors")
        #expect(try accomplice.ask("write 7") == "done", "it is still there")
        #expect(try Self.reclaiming(daemon.status()) == 1, "the accomplice has it")
        accomplice.kill()
        #expect(try daemon.waitForStatus { Self.reclaiming($0) == 0 })
        try Self.checkThatNobodyGets(daemon, two, nil)
    }

    /// Takes all blocks of the class: they hold zeros, whatever the hostile process does meanwhile.
    private static func checkThatNobodyGets(
        _ daemon: TestDaemon, _ partition: TestPartition, _ hostile: PeerProcess?
    ) throws {
        var mappings: [Mapping] = []
        var tokens: [OwnerToken] = []
        let free = try daemon.status().pools[0].freeCount
        for _ in 0..<free {
            let created = try partition.session.createSMB(ringByteCount: 16_384, on: partition.address)
            tokens.append(created.owner)
            mappings.append(try Mapping(created.file))
        }
        _ = try hostile?.ask("write 6")
        for mapping in mappings { #expect(Set(mapping.read(mapping.byteCount, at: 0)) == [0]) }
        mappings = []
        for token in tokens { try partition.session.destroy(token) }
        #expect(try daemon.waitForStatus { $0.pools[0].freeCount == free })
    }

    /// The memory is taken away while the hostile process writes: the copy holds old or new bytes, and then no more of
    /// them come.
    @Test func scribblingWhileItIsTakenAway() throws {
        let daemon = try TestDaemon()
        let owned = try Owned(try TestPartition(daemon, "owner"), filledWith: 1)
        let hostile = try PeerProcess()
        let address = try hostile.join(daemon, "hostile")
        for round in 0..<10 {
            try hostile.accept(try owned.offer(to: address), from: owned.partition.address)
            owned.fill(1)
            let byte = UInt8(100 + round)
            try hostile.ask("scribble \(byte)")
            try owned.unbind()
            let copied = owned.bytes
            #expect(Set(copied).isSubset(of: [1, byte]))
            #expect(try Int(hostile.ask("stop")) ?? 0 > 0, "it has written")
            #expect(try hostile.see() == [byte])
            #expect(owned.bytes == copied, "nothing of it came after the replacement")
        }
        hostile.kill()
        #expect(try daemon.waitForStatus { Self.reclaiming($0) == 0 })
    }

    /// A peer that unbinds, or dies, may have kept the memory, or passed it on: the next one gets other memory.
    @Test(arguments: [true, false]) func whatAPeerLetGoIsReplacedForTheNext(dies: Bool) throws {
        let daemon = try TestDaemon()
        let owned = try Owned(try TestPartition(daemon, "owner"), filledWith: 1)
        let (hostile, keeper) = (try PeerProcess(), try PeerProcess())
        let address = try hostile.join(daemon, "hostile")
        try hostile.accept(try owned.offer(to: address), from: owned.partition.address)
        let path = daemon.directory + "/keeper.sock"
        try keeper.send("take \(path)")
        _ = try keeper.line()
        try hostile.ask("pass \(path)")
        _ = try keeper.line()
        if dies { hostile.kill() } else { try hostile.ask("unbind") }
        #expect(try daemon.waitForStatus { $0.smbs.map(\.isTainted) == [true] })
        let two = try TestPartition(daemon, "two")
        let mapping = try Self.accept(two, try owned.offer(to: two.address), owned.partition.address)
        mapping.write([4], at: 5000)
        try keeper.ask("write 9")
        #expect(try owned.seen == [1, 4] && keeper.see() == [9])
        #expect(mapping.read(2, at: 5000) == [4, 1])
        keeper.kill()
        if !dies { hostile.kill() }
        #expect(try daemon.waitForStatus { Self.reclaiming($0) == 0 })
    }

    /// A right ends even if there is no memory to replace what it led to: the SMB ends then, and the owner is told.
    @Test func withoutMemoryForItTheSMBEnds() throws {
        let daemon = try TestDaemon {
            $0.pools = [PoolConfiguration(byteCount: 0, classes: [.init(ringByteCount: 16_384, blockCount: 2)])]
        }
        let owner = try TestPartition(daemon, "owner")
        let hostile = try PeerProcess()
        let address = try hostile.join(daemon, "hostile")
        var owned: Owned? = try Owned(owner, filledWith: 1)
        let token = owned!.token
        try hostile.accept(try owned!.offer(to: address), from: owner.address)
        let other = try Owned(owner, filledWith: 5)
        #expect(refusal { try owned!.unbind() } == .smbEnded)
        #expect(refusal { try owner.session.destroy(token) } == .badToken)
        #expect(try daemon.status().smbs.count == 1)
        owned = nil
        try hostile.ask("write 9")
        #expect(try Self.reclaiming(daemon.status()) == 1)
        #expect(refusal { _ = try Owned(owner, filledWith: 6) } == .poolExhausted)
        #expect(other.seen == [5])
        hostile.kill()
        let again = try Owned(owner, filledWith: 7)
        #expect(again.mapping.read(1, at: 0) == [0] && other.seen == [5])
    }

    /// Memory that only waits to be zeroed is waited for, instead.
    @Test func memoryThatIsComingBackIsEnough() throws {
        let daemon = try TestDaemon {
            $0.pools = [PoolConfiguration(byteCount: 0, classes: [.init(ringByteCount: 16_384, blockCount: 2)])]
        }
        let owner = try TestPartition(daemon, "owner")
        let hostile = try PeerProcess()
        let address = try hostile.join(daemon, "hostile")
        let owned = try Owned(owner, filledWith: 1)
        try hostile.accept(try owned.offer(to: address), from: owner.address)
        var other: Owned? = try Owned(owner, filledWith: 5)
        let token = other!.token
        other = nil
        try owner.session.destroy(token)
        try owned.unbind()
        #expect(owned.seen == [1])
    }

    /// An administrator's word reaches a peer that does not listen: its tokens are dead, its memory leads nowhere, and
    /// whoever has nothing to do with it goes on.
    @Test func administratorsTakeRightsAway() throws {
        let (web, database) = (VLANID("web")!, VLANID("db")!)
        let daemon = try TestDaemon { $0.vlans = [web, database] }
        let administrator = try daemon.connect()
        for request in [
            AdministrativeRequest.setFunction(isEnabled: false, web), .destroyVLAN(web, isForced: true),
        ] {
            try administrator.administer(.setFunction(isEnabled: true, web))
            let hostile = try PeerProcess()
            let address = try hostile.join(daemon, "hostile", vlans: ["web"])
            let owned = try Owned(try TestPartition(daemon, "owner", [web]), filledWith: 1)
            let bound = try owned.partition.session.bind(owned.token, to: address)
            let offer = bound.offer
            let pair = try present(bound.takeSignal().takeNewPair())
            try hostile.accept(offer, from: owned.partition.address)
            let bystander = try Owned(try TestPartition(daemon, "bystander", [database]), filledWith: 5)
            let friend = try TestPartition(daemon, "friend", [database])
            let mapping = try Self.accept(
                friend, try bystander.offer(to: friend.address), bystander.partition.address)

            try administrator.administer(request)
            #expect(try Readiness.wait(pair.incomingEvent.descriptor.rawValue, timeout: .seconds(5)), "the owner hears")
            let array = try #require(StatusBitArray.open(try Mapping(pair.incomingArray)))
            #expect(array.isRightRevoked)
            #expect(refusal { try owned.partition.session.destroy(owned.token) } == .badToken)
            mapping.write([6], at: 5000)
            #expect(bystander.seen == [5, 6])
            #expect(try daemon.status().smbs.map(\.vlan) == [database])
            hostile.kill()
        }
    }
}
