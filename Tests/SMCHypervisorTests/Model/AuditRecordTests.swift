import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// What the audit log is told: by values, without a log.
@Suite struct AuditRecordTests {
    private let vlan = VLANID("web")!
    private let administrator = CallerID(1)
    private let owner = CallerID(2)
    private let peer = CallerID(3)

    private func model() -> Hypervisor {
        let geometry = PoolGeometry(controlByteCount: 16, classes: [.init(ringByteCount: 100, blockCount: 4)])
        var configuration = Hypervisor.Configuration(
            vlans: [VLANDefinition(vlan)], pools: [.init(.default, geometry)], bitsPerDirection: 64)
        configuration.partitions = [PartitionDefinition(name: "db", userIDs: [7])]
        configuration.authorisations = [Authorisation(partition: "db", vlan: vlan)]
        var model = Hypervisor(configuration, random: SeededGenerator(seed: 1))
        _ = model.perform(.open(CallerIdentity(processID: 10, userID: 0, roles: .all)), by: self.administrator)
        _ = model.perform(.open(CallerIdentity(processID: 20, userID: 7)), by: self.owner)
        _ = model.perform(.open(CallerIdentity(processID: 30, userID: 8)), by: self.peer)
        return model
    }

    private func join(_ model: inout Hypervisor, _ caller: CallerID, _ name: String) throws -> SMGID {
        let outcome = model.perform(.request(.join(name: name, vlans: [])), by: caller)
        guard case .joined(let membership) = outcome.response else { throw HypervisorRefusal.notJoined }
        let record = try #require(outcome.records.first)
        #expect(record.action == .join && record.partition == name && record.refusal == nil)
        #expect(record.object.address == membership.addresses[0].smgid && record.object.vlan == vlan)
        return membership.addresses[0].smgid
    }

    @Test func everyStepOfAnSMBIsTold() throws {
        var model = self.model()
        let mine = try self.join(&model, self.owner, "db")
        let theirs = try self.join(&model, self.peer, "shop")
        let created = model.perform(.request(.createSMB(ringByteCount: 50, on: mine)), by: self.owner)
        guard case .created(let smb) = created.response else { throw HypervisorRefusal.poolExhausted }
        let number = try #require(created.records.first?.object.smb)
        #expect(created.records.map(\.object.byteCount) == [100])
        let bound = model.perform(.request(.bind(smb.owner, to: theirs)), by: self.owner)
        guard case .bound(let offer, _, _) = bound.response else { throw HypervisorRefusal.badToken }
        let accepted = model.perform(.request(.accept(offer, from: mine)), by: self.peer)
        guard case .accepted(let right) = accepted.response else { throw HypervisorRefusal.badToken }
        for (record, name) in zip(bound.records + accepted.records, ["db", "shop"]) {
            #expect(record.partition == name && record.object.smb == number && record.object.peer == theirs)
        }
        // A query gives nothing, and is told only when it is refused.
        #expect(model.perform(.request(.queryCommonCEC(theirs)), by: self.owner).records.isEmpty)

        // A revocation, and what followed from it.
        let revoked = model.perform(.request(.administer(.revoke(partition: "db", vlan))), by: self.administrator)
        #expect(revoked.records.map(\.action) == [.revoke, .destroy, .unbind])
        #expect(revoked.records.map(\.isConsequence) == [false, true, true])
        #expect(revoked.records.map(\.identity.userID) == [0, 7, 8])
        #expect(revoked.records.dropFirst().allSatisfy { $0.object.smb == number })
        let stale = model.perform(
            .request(.read(.peer(right.buffer), offset: 0, byteCount: 1)), by: self.peer
        ).records
        #expect(stale.map(\.refusal) == [.badToken] && stale.map(\.action) == [.read])
        // Letting go of what is gone already gives and takes nothing.
        #expect(model.perform(.request(.unbindBuffer(right.buffer)), by: self.peer).records.isEmpty)
        #expect(model.perform(.close, by: self.peer).records.map(\.action) == [.end])
    }

    @Test func aRefusalNamesTheRole() throws {
        var model = self.model()
        let outcome = model.perform(.request(.administer(.setSlice(vlan, byteCount: 5))), by: self.owner)
        let record = try #require(outcome.records.first)
        #expect(record.refusal == .notAuthorized && record.action == .setSlice && record.object.byteCount == 5)
        #expect(record.text.contains("'quota' on VLAN web") && record.text.contains("user 7"))
        // Somebody else's name.
        let joined = model.perform(.request(.join(name: "db", vlans: [])), by: self.peer)
        #expect(joined.records.map(\.refusal) == [.notAuthorized])
    }

    @Test func rolesAddUp() {
        var roles = Roles.none
        roles.grant(.quota, for: .vlans([vlan]))
        roles.grant(.quota, for: .vlans([.default]))
        #expect(roles.include(.quota, on: vlan) && roles.include(.quota, on: .default))
        #expect(!roles.include(.quota, on: nil) && !roles.include(.look, on: vlan))
        roles.grant(.quota, for: .all)
        roles.grant(.quota, for: .vlans([vlan]))
        #expect(roles.include(.quota, on: nil))
        #expect(Roles.Role.allCases.allSatisfy { Roles.all.include($0, on: nil) })
    }
}
