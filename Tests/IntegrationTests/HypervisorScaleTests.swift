import Foundation
import Testing

/// A hypervisor with many partitions. Tests/Benchmarks/hypervisor-scale measures the same with more memory.
@Suite struct HypervisorScaleTests {
    private struct Load: Decodable {
        var partitions: Int
        var smbs: Int
        var queries: Int
        var beyondPoolKiB: Int
    }

    /// 1,000 partitions on ten VLANs, and as many SMBs as this pool has. Each of them costs the hypervisor a file and a
    /// few hundred bytes of books, and nothing of it may grow with what was asked before.
    @Test func manyPartitionsNeedLittleBesideThePool() async throws {
        try await Scene.play(limit: 120) { scene in
            let vlans = (0..<10).flatMap { ["--vlan", "v\($0)"] }
            let hypervisor = try scene.start(
                Program.smc, ["hypervisor", "--socket", scene.socket, "--pool", "256M", "--quiet"] + vlans)
            try await scene.until("the hypervisor answers") { (try? await scene.books()) != nil }
            let load = try scene.start(Program.hypervisorLoad, [scene.socket, "1000", "1400", "20000"])
            #expect(try await load.exit() == 0, "\(load.output) \(hypervisor.errors)")
            let result = try JSONDecoder().decode(Load.self, from: load.outputData)
            #expect(result.partitions == 1000 && result.smbs == 1400 && result.queries == 20_000)
            #expect((1..<64 * 1024).contains(result.beyondPoolKiB), "\(load.output)")
            #expect(hypervisor.isRunning)
        }
    }
}
