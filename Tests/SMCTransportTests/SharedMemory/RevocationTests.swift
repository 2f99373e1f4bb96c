import Glibc
import SMCControl
import SMCSystem
import SMCTransport
import SMCWire
import Testing

@testable import SMC

extension OneAtATime {
    /// An administrator takes the right to share memory away from programs that are using it.
    @Suite(.timeLimit(.minutes(1))) struct RevocationTests {
        enum Way: CaseIterable {
            case disableVLAN, disableCEC, destroyVLAN, revoke, destroyPartition
        }

        private static let vlan = VLANID("web")!

        private static func request(_ way: Way) -> AdministrativeRequest {
            switch way {
            case .disableVLAN: .setFunction(isEnabled: false, self.vlan)
            case .disableCEC: .setFunction(isEnabled: false, nil)
            case .destroyVLAN: .destroyVLAN(self.vlan, isForced: true)
            case .revoke: .revoke(partition: "client", self.vlan)
            case .destroyPartition: .destroyPartition("client", isForced: true)
            }
        }

        /// Both ends learn it, also while they wait; what was sent before is read; memory comes back.
        @Test(arguments: Way.allCases) func connectionsEndWithTheReason(way: Way) async throws {
            let hypervisor = try TestHypervisor()
            let administrator = try HypervisorSession.connect(socketPath: hypervisor.path)
            try administrator.administer(.createVLAN(VLANDefinition(Self.vlan, access: .authorised)))
            for name in ["client", "server"] {
                try administrator.administer(
                    .createPartition(PartitionDefinition(name: name, userIDs: [getuid()])))
                try administrator.administer(.authorise(Authorisation(partition: name, vlan: Self.vlan)))
            }
            let site = try Site(.sharedMemory, hypervisor: hypervisor) { $0.vlans = [Self.vlan] }
            let free = try site.books().pools.map(\.freeCount)
            // Somebody else (of the same names), with whom it has nothing to do.
            let others = way == .disableCEC || way == .destroyPartition ? nil : try Site(.sharedMemory, hypervisor: hypervisor)
            let bystanders = try await others?.connect()
            let pair = try await site.connect()
            try await pair.client.connection.send([1, 2, 3])
            // One end waits already, the other one finds out later.
            async let waiting = pair.client.drain()
            try await Task.sleep(for: .milliseconds(50))
            try administrator.administer(Self.request(way))
            let client = await waiting
            #expect(client.failure == .revoked)
            let server = await pair.server.drain()
            #expect(server.count == 3 && server.failure == .revoked, "what was sent before is read")
            let sending = await failure { () throws(SMCError) in try await pair.server.connection.send([4]) }
            #expect(sending == .revoked)
            await pair.client.connection.close()
            await pair.server.connection.close()
            try await bystanders?.client.connection.send([7])
            let seven = try await bystanders?.server.receive(exactly: 1)
            #expect(bystanders == nil || seven == [7], "nobody else is disturbed")
            await bystanders?.client.connection.close()
            await bystanders?.server.connection.close()
            let isFree = try await eventually { try site.books().pools.map(\.freeCount) == free }
            #expect(isFree, "memory comes back when it is let go")
            await others?.client.close()
            await others?.server.close()
            await site.close()
        }
    }
}
