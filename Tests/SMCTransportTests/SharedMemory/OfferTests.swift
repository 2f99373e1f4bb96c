import Glibc
import SMCControl
import SMCProtocol
import SMCSystem
import SMCTransport
import SMCWire
import Synchronization
import Testing

@testable import SMC

extension OneAtATime {
    /// What a partition does when the hypervisor's answers are of no use.
    @Suite(.timeLimit(.minutes(1))) struct OfferTests {
        /// The binding names a pair whose descriptors were never sent: nothing can come of it.
        @Test func anSMBThatCannotBeUsedGoesBack() async throws {
            let server = try OddHypervisor()
            let loop = try EventLoop(name: "test-loop")
            defer { loop.stop() }
            let partition = SharedMemoryPartition(
                locator: .socket(server.path), name: "test", vlans: [], ringByteCount: 16_384, loop: loop)
            do throws(FallbackReason) {
                _ = try await partition.offer(to: OddHypervisor.peer, from: OddHypervisor.address)
                Issue.record("it was offered")
            } catch {
                #expect(error.detail.contains("pair"), "\(error)")
            }
            let isBack = try await eventually { server.requests.last == .destroy(OddHypervisor.owner) }
            #expect(isBack, "\(server.requests)")
        }

        @Test func whoHasLeftDoesNotJoinAgain() async throws {
            let hypervisor = try TestHypervisor()
            let loop = try EventLoop(name: "test-loop")
            defer { loop.stop() }
            let partition = SharedMemoryPartition(
                locator: .socket(hypervisor.path), name: "test", vlans: [], ringByteCount: 16_384, loop: loop)
            _ = try await partition.place()
            partition.leave()
            do throws(FallbackReason) {
                _ = try await partition.place()
                Issue.record("it joined")
            } catch {
                #expect(error.code == .noHypervisor)
            }
            let isGone = try await eventually { try hypervisor.books().partitions.isEmpty }
            #expect(isGone)
            hypervisor.stop()
        }

        /// A handshake that ends after the partition did gives a connection that is over, not one that hangs.
        @Test func aHandshakeThatEndsAfterItsPartitionIsAborted() async throws {
            let site = try Site(.tcp)
            async let connected = site.client.connect(to: try site.address)
            let socket = try await site.accept()
            let client = try await connected
            await site.server.close()
            let late = End(try await site.server.serve(socket))
            #expect(await failure { () async throws(SMCError) in try await late.connection.send([1]) } == .closed)
            let end = End(client)
            let limit = ContinuousClock.now.advanced(by: .seconds(10))
            let code = await failure { () async throws(SMCError) in
                _ = try await end.connection.receive(atMost: 1, until: limit)
            }
            #expect(code != .timedOut, "its peer learns it")
            await site.close()
        }
    }
}

/// Answers like a hypervisor, but sends no descriptors of pairs.
private final class OddHypervisor: Sendable {
    static let address = SMGID(gid: 1, extendedGID: 1)
    static let peer = SMGID(gid: 2, extendedGID: 2)
    static let owner = OwnerToken(high: 1, low: 2)

    let path = "/tmp/swift-smc-odd-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
    private let received = Mutex<[ControlRequest]>([])

    var requests: [ControlRequest] { self.received.withLock { $0 } }

    private let listener: UnixSocket

    init() throws {
        self.listener = try UnixSocket.listen(path: self.path)
        SystemThread.start(name: "odd-hypervisor") {
            do {
                try self.serve()
            } catch {
                Issue.record("\(error)")
            }
            unlink(self.path)
        }
    }

    private func serve() throws {
        guard try Readiness.wait(self.listener.descriptor.rawValue, timeout: .seconds(60)),
            let socket = try self.listener.accept()
        else { return }
        while try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(60)) {
            guard let packet = try socket.receive(maximumByteCount: 65_536), !packet.bytes.isEmpty else { return }
            let header = try ControlHeader(decoding: packet.bytes)
            let request = try ControlRequest(decoding: packet.bytes, header: header)
            self.received.withLock { $0.append(request) }
            guard case .createSMB = request else {
                try socket.send(self.answer(to: request).encoded(requestID: header.requestID))
                continue
            }
            let memory = try MemoryFile.create(name: "odd", byteCount: 20_480)
            let record = CreatedRecord(
                owner: Self.owner, ringByteCount: 16_384, fileByteCount: 20_480, isMapped: true)
            try socket.send(
                ControlResponse.created(record).encoded(requestID: header.requestID),
                descriptors: [memory.descriptor.rawValue])
        }
    }

    private func answer(to request: ControlRequest) -> ControlResponse {
        switch request {
        case .hello: return .welcome
        case .join:
            let address = Membership.Address(vlan: .default, smgid: Self.address)
            return .joined(
                Membership(
                    cec: CECID(high: 1, low: 1), addresses: [address], hypervisorProcessID: getpid(),
                    largestRingByteCount: 16_384))
        case .bind:
            let signal = SignalRecord(token: SignalToken(high: 1, low: 1), pair: 77, bit: 0, hasNewPair: false)
            return .bound(OfferToken(rawValue: 5), signal, replacement: nil)
        default: return .done
        }
    }
}
