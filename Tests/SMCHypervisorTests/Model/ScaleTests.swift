import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// What the number of partitions and SMBs must not make slower.
@Suite struct ScaleTests {
    private struct World {
        var model: Hypervisor
        let callers: [CallerID]
        let addresses: [SMGID]

        /// Partitions on ten VLANs in turn, each with ten SMBs.
        init(partitionCount: Int) {
            let vlans = (0..<10).map { VLANDefinition(VLANID("v\($0)")!) }
            let geometry = PoolGeometry(
                controlByteCount: 4096, classes: [.init(ringByteCount: 16_384, blockCount: partitionCount * 10)])
            var model = Hypervisor(
                Hypervisor.Configuration(vlans: vlans, pools: [.init(.default, geometry)], bitsPerDirection: 64),
                random: SeededGenerator(seed: 1))
            var (callers, addresses): ([CallerID], [SMGID]) = ([], [])
            for number in 0..<partitionCount {
                let caller = CallerID(UInt64(number))
                _ = model.perform(.open(CallerIdentity(processID: 1, userID: 1)), by: caller)
                let join = ControlRequest.join(name: "p\(number)", vlans: [vlans[number % 10].id])
                guard case .joined(let membership) = model.perform(.request(join), by: caller).response else {
                    preconditionFailure("nothing is against it")
                }
                callers.append(caller)
                addresses.append(membership.addresses[0].smgid)
                for _ in 0..<10 {
                    let create = ControlRequest.createSMB(ringByteCount: 1, on: membership.addresses[0].smgid)
                    guard case .created = model.perform(.request(create), by: caller).response else {
                        preconditionFailure("the pool is large enough")
                    }
                }
            }
            (self.model, self.callers, self.addresses) = (model, callers, addresses)
        }

        /// The least time of a thousand queries: what others do on the machine makes times longer, never shorter.
        mutating func queryTime() -> Duration {
            (0..<20).map { _ in
                ContinuousClock().measure {
                    for number in 0..<1000 {
                        let address = self.addresses[(number * 10) % self.addresses.count]
                        let request = ControlRequest.queryCommonCEC(address)
                        let outcome = self.model.perform(.request(request), by: self.callers[0])
                        precondition(outcome.response == .commonCEC(.common(on: VLANID("v0")!)))
                    }
                }
            }.min()!
        }
    }

    /// A hundred times as many: whoever looked at all of them would take a hundred times as long.
    @Test func aQueryDoesNotDependOnHowManyThereAre() {
        var few = World(partitionCount: 10)
        var many = World(partitionCount: 1000)
        let (short, long) = (few.queryTime(), many.queryTime())
        #expect(long < short * 20, "\(short) with 10 partitions, \(long) with 1000")
    }
}
