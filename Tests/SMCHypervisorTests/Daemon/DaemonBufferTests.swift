import SMCControl
import SMCHypervisor
import SMCMemory
import SMCSystem
import SMCWire
import Testing

/// The life of SMBs over a real socket, with real memory.
@Suite struct DaemonBufferTests {
    @Test func memoryIsCommonAndSignalsArrive() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        #expect(one.membership.cec == two.membership.cec)
        #expect(one.address != two.address && one.address.gid != 0)
        #expect(try one.session.queryCommonCEC(two.address) == .common(on: .default))
        let created = try one.session.createSMB(ringByteCount: 10_000, on: one.address)
        let sizes = [created.ringByteCount, created.file.byteCount]
        #expect(sizes == [16384, 20480])
        let bound = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(bound.offer, from: one.address)
        let ringByteCount = accepted.ringByteCount
        #expect(ringByteCount == 16384)
        let mine = try Mapping(created.file)
        let theirs = try Mapping(accepted.file)
        theirs.put(0xfe, at: 20479)
        #expect(mine.byte(at: 20479) == 0xfe)

        let bit = accepted.signal.bit
        let isSame = bound.signal.pair == accepted.signal.pair && bound.signal.bit == bit
        let areDistinct = bound.signal.token != accepted.signal.token
        #expect(isSame && areDistinct)
        let ownerPair = try present(bound.takeSignal().takeNewPair())
        let incoming = try #require(StatusBitArray.open(try Mapping(ownerPair.incomingArray)))
        // Another SMB, the other way round: no new descriptors for the owner, who has them; the same pair.
        let back = try two.session.createSMB(ringByteCount: 1, on: two.address)
        let offered = try two.session.bind(back.owner, to: one.address)
        let isKnown = !offered.signal.hasNewPair
        #expect(isKnown, "two has the pair's descriptors already")
        let acceptedBack = try one.session.accept(offered.offer, from: two.address)
        let isKnownToo = !acceptedBack.signal.hasNewPair
        #expect(isKnownToo, "one has them too")
        try self.signal(accepted, bit, incoming, ownerPair)
    }

    /// The peer sets the bit and rings; the owner wakes and finds it.
    private func signal(
        _ accepted: consuming AcceptedSMB, _ bit: Int, _ incoming: StatusBitArray, _ owner: borrowing PairResources
    ) throws {
        let peer = try present(accepted.takeSignal().takeNewPair())
        let outgoing = try #require(StatusBitArray.open(try Mapping(peer.outgoingArray)))
        let number = owner.incomingEvent.descriptor.rawValue
        #expect(try !Readiness.wait(number, timeout: .zero))
        #expect(outgoing.set(bit))
        peer.outgoingEvent.signal()
        #expect(try Readiness.wait(number, timeout: .seconds(1)))
        owner.incomingEvent.clear()
        var bits: [Int] = []
        incoming.takeAll { bits.append($0) }
        #expect(bits == [bit])
    }

    @Test func deathIsToldToTheOtherSide() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        var two: TestPartition? = try TestPartition(daemon, "two")
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let bound = try one.session.bind(created.owner, to: two!.address)
        _ = try two!.session.accept(bound.offer, from: one.address)
        let pair = try present(bound.takeSignal().takeNewPair())
        let array = try #require(StatusBitArray.open(try Mapping(pair.incomingArray)))
        #expect(!array.isCounterpartGone)
        two = nil
        #expect(try Readiness.wait(pair.incomingEvent.descriptor.rawValue, timeout: .seconds(2)))
        #expect(array.isCounterpartGone)
        // The SMB is the owner's alone again, and can be bound to somebody else.
        let three = try TestPartition(daemon, "three")
        _ = try one.session.bind(created.owner, to: three.address)
    }

    @Test func tokensAreGoodForTheirHoldersOnly() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let thief = try TestPartition(daemon, "thief")
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        #expect(refusal { try thief.session.destroy(created.owner) } == .badToken)
        #expect(refusal { try thief.session.destroy(OwnerToken(high: 1, low: 2)) } == .badToken)
        #expect(refusal { _ = try thief.session.bind(created.owner, to: two.address) } == .badToken)
        let bound = try one.session.bind(created.owner, to: two.address)
        #expect(refusal { _ = try thief.session.accept(bound.offer, from: one.address) } == .badToken)
        #expect(refusal { try thief.session.reject(bound.offer, from: one.address) } == .badToken)
        let accepted = try two.session.accept(bound.offer, from: one.address)
        #expect(refusal { _ = try two.session.accept(bound.offer, from: one.address) } == .badToken)
        #expect(refusal { try thief.session.unbind(accepted.buffer) } == .badToken)
        try two.session.unbind(accepted.buffer)
        #expect(refusal { try two.session.unbind(accepted.buffer) } == .badToken)
        try one.session.destroy(created.owner)
        #expect(refusal { try one.session.destroy(created.owner) } == .badToken)
    }

    @Test func refusalsSayWhatIsWrong() throws {
        let web = VLANID("web")!
        let database = VLANID("db")!
        let daemon = try TestDaemon {
            $0.vlans = [web, database]
            $0.partitionsMaximum = 3
        }
        let visitor = try daemon.connect()
        let nowhere = SMGID(gid: 1, extendedGID: 2)
        #expect(refusal { _ = try visitor.queryCommonCEC(nowhere) } == .notJoined)
        #expect(refusal { _ = try visitor.join(name: "x", vlans: [VLANID("nope")!]) } == .unknownVLAN)
        let one = try TestPartition(daemon, "one")
        #expect(one.membership.addresses[0].vlan == web, "the first VLAN is the usual one")
        #expect(refusal { _ = try one.session.join(name: "again") } == .alreadyJoined)
        let other = try TestPartition(daemon, "other", [database])
        let both = try TestPartition(daemon, "both", [database, web])
        #expect(refusal { _ = try visitor.join(name: "fourth") } == .tooManyPartitions)
        #expect(try both.session.queryCommonCEC(other.address) == .common(on: database))
        guard case .notCommon(.notOnCommonVLAN, _) = try one.session.queryCommonCEC(other.address) else {
            throw ControlError.protocolViolation("another answer")
        }
        guard case .notCommon(.unknownPartition, _) = try one.session.queryCommonCEC(nowhere) else {
            throw ControlError.protocolViolation("another answer")
        }
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        #expect(refusal { _ = try one.session.bind(created.owner, to: other.address) } == .notOnCommonVLAN)
        #expect(refusal { _ = try one.session.bind(created.owner, to: nowhere) } == .unknownPartition)
        #expect(refusal { _ = try one.session.createSMB(ringByteCount: 1, on: other.address) } == .notOwnAddress)
        #expect(refusal { _ = try one.session.createSMB(ringByteCount: 1 << 21, on: one.address) } == .sizeTooLarge)
        #expect(refusal { try one.session.unbind(created.owner) } == .notBound)
        let web2 = both.membership.addresses[1].smgid
        _ = try one.session.bind(created.owner, to: web2)
        #expect(refusal { _ = try one.session.bind(created.owner, to: web2) } == .alreadyBound)
    }

    @Test func aFullPoolIsRefusedAndComesBackZeroed() throws {
        let daemon = try TestDaemon(poolByteCount: 2 << 20)
        let before = try daemon.status().pools
        let one = try TestPartition(daemon, "one")
        var owners: [OwnerToken] = []
        var full: HypervisorRefusal?
        while full == nil {
            full = refusal {
                let created = try one.session.createSMB(ringByteCount: 1 << 18, on: one.address)
                try Mapping(created.file).put(.max, at: 5000)
                owners.append(created.owner)
            }
        }
        #expect(full == .poolExhausted && owners.count >= 4)
        // Straight after another: what comes back is waited for, and it holds nothing of before.
        for owner in owners { try one.session.destroy(owner) }
        for _ in owners {
            let created = try one.session.createSMB(ringByteCount: 1 << 18, on: one.address)
            let byte = try Mapping(created.file).byte(at: 5000)
            #expect(byte == 0)
        }
        _ = consume one
        #expect(try daemon.waitForStatus { $0.pools == before && $0.smbs.isEmpty && $0.partitions.isEmpty })
    }

    @Test func aBlockIsNotUsedAgainBeforeItsHolderIsGone() throws {
        let daemon = try TestDaemon(poolByteCount: 2 << 20)
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let largest = one.membership.largestRingByteCount
        let created = try one.session.createSMB(ringByteCount: largest, on: one.address)
        let bound = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(bound.offer, from: one.address)
        let owner = created.owner
        _ = consume created
        try one.session.destroy(owner)
        // Its token gives nothing any more, but its memory is not used again.
        #expect(try daemon.status().smbs.isEmpty)
        #expect(try daemon.status().pools.last?.reclaimingCount == 1)
        // The peer says that it lets go, but keeps its mapping: the kernel knows better.
        var mapping: Mapping? = try Mapping(accepted.file)
        let buffer = accepted.buffer
        _ = consume accepted
        try two.session.unbind(buffer)
        #expect(try daemon.status().smbs.isEmpty)
        #expect(try daemon.status().pools.last?.reclaimingCount == 1)
        mapping?.put(1)
        mapping = nil
        #expect(try daemon.waitForStatus { $0.pools.last?.reclaimingCount == 0 })
    }

    @Test func anOwnersDeathLeavesThePeerItsMemory() throws {
        let daemon = try TestDaemon()
        var one: TestPartition? = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let created = try one!.session.createSMB(ringByteCount: 1, on: one!.address)
        let bound = try one!.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(bound.offer, from: one!.address)
        let mapping = try Mapping(accepted.file)
        mapping.put(7)
        one = nil
        #expect(try daemon.waitForStatus { $0.smbs.isEmpty && $0.partitions.count == 1 })
        #expect(mapping.byte() == 7)
        // Letting go of what ended by itself is no mistake.
        try two.session.unbind(accepted.buffer)
        #expect(mapping.byte() == 7)
    }

    @Test func aPartitionCanTalkToItself() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        #expect(try one.session.queryCommonCEC(one.address) == .common(on: .default))
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let bound = try one.session.bind(created.owner, to: one.address)
        let accepted = try one.session.accept(bound.offer, from: one.address)
        let isKnown = !accepted.signal.hasNewPair
        #expect(isKnown, "it came with the binding")
        let pair = try present(bound.takeSignal().takeNewPair())
        pair.outgoingEvent.signal()
        #expect(try Readiness.wait(pair.incomingEvent.descriptor.rawValue, timeout: .seconds(1)))
        let incoming = try #require(StatusBitArray.open(try Mapping(pair.incomingArray)))
        let outgoing = try #require(StatusBitArray.open(try Mapping(pair.outgoingArray)))
        #expect(outgoing.set(5))
        incoming.takeAll { #expect($0 == 5) }
    }
}
