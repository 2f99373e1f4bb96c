import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// Many partitions and SMBs: that they fit, and (printed, never judged) what an instruction costs among them.
@Suite struct HypervisorScaleTests {
    private struct World {
        var model: Hypervisor
        var addresses: [SMGID] = []
        var owners: [OwnerToken] = []

        init(partitionCount: Int, vlanCount: Int, smbCount: Int) throws {
            let vlans = (0..<vlanCount).map { VLANDefinition(VLANID("v\($0)")!) }
            let geometry = PoolGeometry(
                controlByteCount: 4096, classes: [.init(ringByteCount: 16_384, blockCount: smbCount + 100)])
            var configuration = Hypervisor.Configuration(
                vlans: vlans, pools: [.init(.default, geometry)], bitsPerDirection: 32_256)
            configuration.partitionsMaximum = partitionCount
            self.model = Hypervisor(configuration, random: SeededGenerator(seed: 1))
            for index in 0..<partitionCount {
                let caller = CallerID(UInt64(index))
                _ = self.model.perform(.open(CallerIdentity(processID: 1, userID: 1)), by: caller)
                let request = ControlRequest.join(name: "p", vlans: [vlans[index % vlanCount].id])
                guard case .joined(let membership) = self.model.perform(.request(request), by: caller).response else {
                    throw HypervisorRefusal.tooManyPartitions
                }
                self.addresses.append(membership.addresses[0].smgid)
            }
            for index in 0..<smbCount { self.owners.append(try self.connect(index % partitionCount, vlanCount)) }
        }

        /// A partition offers an SMB to a neighbour on its VLAN, which takes it.
        mutating func connect(_ index: Int, _ vlanCount: Int) throws -> OwnerToken {
            let caller = CallerID(UInt64(index))
            let next = (index + vlanCount) % self.addresses.count
            let create = ControlRequest.createSMB(ringByteCount: 16_384, on: self.addresses[index])
            guard case .created(let record) = self.model.perform(.request(create), by: caller).response,
                case .bound(let offer, _, _) = self.model.perform(
                    .request(.bind(record.owner, to: self.addresses[next])), by: caller
                ).response,
                case .accepted = self.model.perform(
                    .request(.accept(offer, from: self.addresses[index])), by: CallerID(UInt64(next))
                ).response
            else { throw HypervisorRefusal.poolExhausted }
            return record.owner
        }

        mutating func query(_ index: Int, _ vlanCount: Int) -> ControlResponse {
            let next = (index + vlanCount) % self.addresses.count
            let request = ControlRequest.queryCommonCEC(self.addresses[next])
            return self.model.perform(.request(request), by: CallerID(UInt64(index))).response
        }
    }

    @Test(arguments: [(20, 100), (1000, 10_000)]) func manyPartitionsFit(partitionCount: Int, smbCount: Int) throws {
        var world = try World(partitionCount: partitionCount, vlanCount: 10, smbCount: smbCount)
        let clock = ContinuousClock()
        let queries = clock.measure {
            for index in 0..<1000 { _ = world.query(index % partitionCount, 10) }
        }
        let vlan = VLANID("v3")!
        #expect(world.query(3, 10) == .commonCEC(.common(on: vlan)))
        var new: [OwnerToken] = []
        let connections = try clock.measure {
            for index in 0..<100 { new.append(try world.connect(index % partitionCount, 10)) }
        }
        let endings = clock.measure {
            for (index, token) in new.enumerated() {
                _ = world.model.perform(.request(.destroy(token)), by: CallerID(UInt64(index % partitionCount)))
            }
        }
        print(
            "HypervisorScaleTests: \(partitionCount) partitions, \(smbCount) SMBs: query \(queries / 1000), create+bind+"
                + "accept \(connections / 100), destroy \(endings / 100)")
        // One look at the books is all of it, page by page, and the same as at once.
        let observer = CallerID(1 << 40)
        _ = world.model.perform(.open(CallerIdentity(processID: 1, userID: 0, roles: .all)), by: observer)
        var status: HypervisorStatus?
        var next = 0
        while true {
            let outcome = world.model.perform(.request(.status(firstItem: next)), by: observer)
            guard case .status(let page) = outcome.response else { throw HypervisorRefusal.malformed }
            if status == nil { status = page.beginning } else { page.append(to: &status!) }
            next += page.items.count
            if !page.hasMore { break }
        }
        #expect(status?.partitions.count == partitionCount && status?.smbs.count == smbCount)
        #expect(Set(status?.smbs.map(\.number) ?? []).count == smbCount)
        for index in 0..<partitionCount { _ = world.model.perform(.close, by: CallerID(UInt64(index))) }
        let last = world.model.perform(.request(.status(firstItem: 0)), by: observer)
        guard case .status(let page) = last.response else { throw HypervisorRefusal.malformed }
        // What is left is memory that counts against those who have ended, until nobody has it.
        let isOver = page.items.allSatisfy { if case .usage(let usage) = $0 { usage.partition.isEmpty } else { false } }
        #expect(isOver && page.pools[0].reclaimingCount == smbCount + 100)
    }
}
