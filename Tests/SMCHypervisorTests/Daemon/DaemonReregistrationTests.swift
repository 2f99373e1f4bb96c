import Foundation
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCWire
import Testing

/// Memory of an earlier daemon is shown to another one.
@Suite struct DaemonReregistrationTests {
    private static let ringByteCount = 16_384
    private static let fileByteCount = 20_480

    /// An SMB as both its holders have it, and nobody knows any more.
    private final class Orphan {
        let owned: MemoryFile
        let accepted: Box

        init() throws {
            let daemon = try TestDaemon()
            let one = try TestPartition(daemon, "one")
            let two = try TestPartition(daemon, "two")
            let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
            let bound = try one.session.bind(created.owner, to: two.address)
            let accepted = try two.session.accept(bound.offer, from: one.address)
            self.owned = created.takeFile()
            self.accepted = try accepted.take { (file, _) throws(ControlError) in Box(file) }
            daemon.stop()
        }
    }

    /// Carries memory out of a closure.
    private final class Box {
        let file: MemoryFile
        init(_ file: consuming MemoryFile) { self.file = file }
    }

    @Test(arguments: [true, false], [true, false])
    func bothHoldersFindEachOther(ownerIsFirst: Bool, ownerEndsFirst: Bool) throws {
        let orphan = try Orphan()
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        let two = try TestPartition(daemon, "two")
        let before = try daemon.status()
        let owner: OwnerToken
        let peer: BufferToken
        if ownerIsFirst {
            owner = try one.session.reregisterOwned(orphan.owned, ringByteCount: Self.ringByteCount, on: one.address)
            #expect(try daemon.status().smbs.map(\.state) == [.created])
            peer = try two.session.reregisterAccepted(
                orphan.accepted.file, ringByteCount: Self.ringByteCount, on: two.address)
        } else {
            peer = try two.session.reregisterAccepted(
                orphan.accepted.file, ringByteCount: Self.ringByteCount, on: two.address)
            #expect(try daemon.status().smbs.map(\.state) == [.orphaned])
            owner = try one.session.reregisterOwned(orphan.owned, ringByteCount: Self.ringByteCount, on: one.address)
        }
        let during = try daemon.status()
        #expect(during.smbs.map(\.state) == [.accepted])
        #expect(during.smbs[0].owner == one.address && during.smbs[0].peer == two.address)
        #expect(during.vlans[0].usedByteCount == Self.fileByteCount)
        #expect(during.pools == before.pools)
        // The new tokens are as good for strangers as any.
        #expect(refusal { try two.session.destroy(owner) } == .badToken)
        #expect(refusal { try one.session.unbind(peer) } == .badToken)
        #expect(refusal { _ = try one.session.bind(owner, to: two.address) } == .unsuitableMemory)
        if ownerEndsFirst {
            try one.session.destroy(owner)
            #expect(try daemon.status().smbs.map(\.state) == [.orphaned])
            try two.session.unbind(peer)
        } else {
            try two.session.unbind(peer)
            #expect(try daemon.status().smbs.map(\.state) == [.created])
            try one.session.destroy(owner)
        }
        #expect(try daemon.status() == before)
        #expect(refusal { try one.session.destroy(owner) } == .badToken)
    }

    @Test func whatIsNoSMBIsRefused() throws {
        let orphan = try Orphan()
        let daemon = try TestDaemon {
            $0.vlans = [.default, VLANID("other")!]
            $0.vlanLimits[VLANID("other")!] = Self.fileByteCount - 1
        }
        let one = try TestPartition(daemon, "one", [.default, VLANID("other")!])
        let two = try TestPartition(daemon, "two")
        let before = try daemon.status()
        func show(
            _ file: borrowing MemoryFile, _ ringByteCount: Int = Self.ringByteCount, on address: SMGID? = nil
        ) -> HypervisorRefusal? {
            do throws(ControlError) {
                _ = try one.session.reregisterOwned(file, ringByteCount: ringByteCount, on: address ?? one.address)
                return nil
            } catch {
                guard case .refused(let refusal, _) = error else { return .malformed }
                return refusal
            }
        }
        #expect(show(orphan.owned, 32_768) == .unsuitableMemory, "the ring is larger than the file")
        #expect(show(orphan.owned, 10_000) == .unsuitableMemory, "no size of a ring")
        #expect(show(orphan.owned, on: two.address) == .notOwnAddress)
        #expect(show(orphan.owned, on: one.membership.addresses[1].smgid) == .poolExhausted, "over the VLAN's limit")
        // Memory of this very hypervisor is in its books already.
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        #expect(show(created.file) == .unsuitableMemory)
        try one.session.destroy(created.owner)
        _ = consume created
        #expect(show(orphan.owned) == nil)
        #expect(show(orphan.owned) == .alreadyBound, "twice")
        #expect(try daemon.status().smbs.count == 1)
        #expect(
            refusal {
                _ = try two.session.reregisterAccepted(
                    orphan.accepted.file, ringByteCount: Self.ringByteCount, on: one.address)
            } == .notOwnAddress)
        _ = consume one
        #expect(
            try daemon.waitForStatus { $0.smbs.isEmpty && $0.vlans.allSatisfy { $0.usedByteCount == 0 } },
            "with its only holder it goes")
        #expect(try daemon.waitForStatus { $0.pools == before.pools })
    }

    /// Descriptors of all kinds, each of which is refused without an end of the session.
    @Test func onlySealedMemoryIsTaken() throws {
        let daemon = try TestDaemon()
        let socket = try UnixSocket.connect(path: daemon.socketPath)
        func ask(_ request: ControlRequest, _ descriptors: [Int32] = []) throws -> ControlResponse {
            try socket.send(request.encoded(requestID: 7), descriptors: descriptors)
            guard try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(5)),
                let received = try socket.receive(maximumByteCount: 65_536)
            else { throw ControlError.timedOut }
            return try ControlResponse(decoding: received.bytes, header: try ControlHeader(decoding: received.bytes))
        }
        _ = try ask(.hello)
        guard case .joined(let membership) = try ask(.join(name: "liar", vlans: [])) else {
            throw ControlError.protocolViolation("not joined")
        }
        let request = ControlRequest.reregister(
            Reregistration(
                role: .owner, ringByteCount: Self.ringByteCount, fileByteCount: Self.fileByteCount,
                address: membership.addresses[0].smgid))
        let sealed = try MemoryFile.create(name: "sealed", byteCount: Self.fileByteCount)
        let small = try MemoryFile.create(name: "small", byteCount: 4096)
        let large = try MemoryFile.create(name: "large", byteCount: 2 * Self.fileByteCount)
        let event = try EventDescriptor()
        var pipes: [Int32] = [0, 0]
        #expect(pipe(&pipes) == 0)
        let file = open(daemon.directory + "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        #expect(ftruncate(file, Self.fileByteCount) == 0)
        let readOnly = open("/proc/self/fd/\(sealed.descriptor.rawValue)", O_RDONLY | O_CLOEXEC)
        defer { for number in pipes + [file, readOnly] { close(number) } }
        let wrong = [
            "small": small.descriptor.rawValue, "large": large.descriptor.rawValue,
            "event": event.descriptor.rawValue, "pipe": pipes[0], "file": file, "read only": readOnly,
            "itself": socket.descriptor.rawValue,
        ]
        for (name, number) in wrong {
            guard case .refused(.unsuitableMemory, let text) = try ask(request, [number]) else {
                Issue.record("\(name) was taken")
                continue
            }
            #expect(!text.isEmpty)
        }
        #expect(try daemon.status().smbs.isEmpty)
        guard case .reregistered = try ask(request, [sealed.descriptor.rawValue]) else {
            throw ControlError.protocolViolation("memory that is as it must be was refused")
        }
        // Without its descriptor, or with two, it is no request at all.
        guard case .refused(.malformed, _) = try ask(request) else {
            throw ControlError.protocolViolation("nothing was taken for memory")
        }
    }
}
