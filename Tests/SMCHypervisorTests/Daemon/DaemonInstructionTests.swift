import SMCControl
import SMCHypervisor
import SMCMemory
import SMCSystem
import SMCWire
import Testing

/// Instructions on real memory: several peers, replacement, moves for those who have no mapping, revocation.
@Suite struct DaemonInstructionTests {
    @Test func aFormerPeerHasOnlyTheOldMemory() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let three = try TestPartition(daemon, "three")
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let before = try Mapping(created.file)
        let first = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(first.offer, from: one.address)
        let theirs = try Mapping(accepted.file)
        theirs.put(42, at: 4096)

        let memory = try present(try one.session.unbind(created.owner, from: two.address))
        let mine = try Mapping(memory)
        #expect(mine.byte(at: 4096) == 42, "the contents came along")
        theirs.put(66, at: 4096)
        mine.put(1, at: 4097)
        let isApart = mine.byte(at: 4096) == 42 && theirs.byte(at: 4097) == 0
        #expect(isApart, "the peer reaches the owner's memory no longer")
        #expect(before.byte(at: 4096) == 66, "that is the old block")
        #expect(refusal { _ = try two.session.read(.peer(accepted.buffer), offset: 0, byteCount: 1) } == .badToken)

        // Bound to the next: it sees what the owner has, and not what the former peer wrote.
        let second = try one.session.bind(created.owner, to: three.address)
        let hasReplacement = second.replacement != nil
        #expect(!hasReplacement, "nobody else has this block")
        let last = try three.session.accept(second.offer, from: one.address)
        let third = try Mapping(last.file)
        #expect(third.byte(at: 4096) == 42)
        #expect(try daemon.status().pools.reduce(0) { $0 + $1.reclaimingCount } == 1)
    }

    @Test func anSMBThatAPeerHasLeftIsReplacedBeforeItIsOfferedAgain() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let three = try TestPartition(daemon, "three")
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let first = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(first.offer, from: one.address)
        let kept = try Mapping(accepted.file)
        let open = try one.session.bind(created.owner, to: three.address)
        try two.session.unbind(accepted.buffer)
        #expect(try daemon.status().smbs.map(\.isTainted) == [true])
        #expect(refusal { _ = try three.session.accept(open.offer, from: one.address) } == .tainted)
        let memory = try present(try one.session.renew(created.owner))
        let mine = try Mapping(memory)
        let last = try three.session.accept(open.offer, from: one.address)
        let theirs = try Mapping(last.file)
        mine.put(9)
        let bytes = [theirs.byte(), kept.byte()]
        #expect(bytes == [9, 0])

        // A peer without a mapping leaves nothing behind.
        let other = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let offer = try one.session.bind(other.owner, to: two.address).offer
        let right = try two.session.acceptUnmapped(offer, from: one.address)
        try two.session.write(.peer(right.record.buffer), offset: 8, bytes: [3])
        let view = try Mapping(other.file)
        #expect(view.byte(at: 8) == 3)
        let nothing = try one.session.unbind(other.owner) == nil
        #expect(nothing)
        #expect(refusal { try two.session.write(.peer(right.record.buffer), offset: 8, bytes: [4]) } == .badToken)
        #expect(view.byte(at: 8) == 3)
    }

    @Test func revocationReachesBothSides() throws {
        let closed = VLANID("closed")!
        let daemon = try TestDaemon()
        let administrator = try daemon.connect()
        try administrator.administer(.createVLAN(VLANDefinition(closed, access: .authorised)))
        for name in ["one", "two"] {
            try administrator.administer(.createPartition(PartitionDefinition(name: name, userIDs: [Process.userID])))
            try administrator.administer(.authorise(Authorisation(partition: name, vlan: closed)))
        }
        let one = try TestPartition(daemon, "one", [closed])
        let two = try TestPartition(daemon, "two", [closed, .default])
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let bound = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.accept(bound.offer, from: one.address)
        let back = try two.session.createSMB(ringByteCount: 1, on: two.address)
        let pair = try present(bound.takeSignal().takeNewPair())
        let array = try #require(StatusBitArray.open(try Mapping(pair.incomingArray)))

        try administrator.administer(.revoke(partition: "two", closed))
        #expect(try Readiness.wait(pair.incomingEvent.descriptor.rawValue, timeout: .seconds(5)))
        #expect(array.isCounterpartGone)
        #expect(refusal { try two.session.write(.peer(accepted.buffer), offset: 0, bytes: [1]) } == .badToken)
        #expect(refusal { try two.session.destroy(back.owner) } == .badToken)
        #expect(try two.session.addresses().map(\.vlan) == [.default])
        #expect(refusal { _ = try two.session.establish(closed) } == .notAuthorisedOnVLAN)
        // The owner goes on, with memory that the other one does not have.
        let theirs = try Mapping(accepted.file)
        let memory = try present(try one.session.renew(created.owner))
        let mine = try Mapping(memory)
        theirs.put(1)
        #expect(mine.byte() == 0)
    }

    @Test func statusBitsAreTakenByToken() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let created = try one.session.createUnmappedSMB(ringByteCount: 1, on: one.address)
        let bound = try one.session.bind(created.owner, to: two.address)
        let accepted = try two.session.acceptUnmapped(bound.offer, from: one.address)
        let (pair, bit) = (bound.signal.pair, bound.signal.bit)
        let ownerToken = bound.signal.token
        #expect(try one.session.takeStatusBits(pair: pair).isEmpty)
        try two.session.signal(accepted.signal.token)
        #expect(try two.session.takeStatusBits(pair: pair).isEmpty, "it is the other one's")
        #expect(try one.session.takeStatusBits(pair: pair) == [1 << UInt64(bit)])
        #expect(try one.session.takeStatusBits(pair: pair).isEmpty, "read and cleared")
        try one.session.signal(ownerToken)
        #expect(try two.session.takeStatusBits(pair: pair) == [1 << UInt64(bit)])
        let thief = try TestPartition(daemon, "thief")
        #expect(refusal { _ = try thief.session.takeStatusBits(pair: pair) } == .badToken)
        #expect(refusal { try thief.session.signal(ownerToken) } == .badToken)
    }
}
