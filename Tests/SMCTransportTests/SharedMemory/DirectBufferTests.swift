import Glibc
import SMC
import Testing

extension OneAtATime {
    /// SMBs used directly, through the public library and a hypervisor with real memory (seed A23-A34).
    @Suite struct DirectBufferTests {
        private func join(_ hypervisor: TestHypervisor, _ name: String) async throws -> SharedMemorySession {
            var configuration = Configuration()
            configuration.hypervisor = .socket(hypervisor.path)
            configuration.name = name
            return try await SharedMemorySession.join(configuration)
        }

        /// The refusal that `body` ends with.
        private func refusal(_ body: () async throws -> Void) async -> String? {
            do {
                try await body()
                return nil
            } catch let error as SMCError {
                #expect(!error.message.isEmpty)
                return error.refusal ?? error.code.rawValue
            } catch {
                return "\(error)"
            }
        }

        @Test func bytesMoveByToken() async throws {
            let hypervisor = try TestHypervisor()
            defer { hypervisor.stop() }
            let one = try await self.join(hypervisor, "one")
            let two = try await self.join(hypervisor, "two")
            let mine = try #require(try await one.addresses().first)
            let theirs = try #require(try await two.addresses().first).address
            #expect(try await one.commonVLAN(with: theirs) == mine.vlan)
            #expect(SharedMemoryAddress("\(theirs)") == theirs && SharedMemoryAddress("x") == nil)
            let buffer = try await one.createBuffer(byteCount: 16_384, on: mine.address)
            let offer = try await buffer.bind(to: theirs)
            #expect(try await buffer.bindings() == [theirs: false])
            let accepted = try await two.accept(offer)
            #expect(try await buffer.bindings() == [theirs: true])
            #expect(buffer.isOwned && !accepted.isOwned && accepted.byteCount == buffer.byteCount)

            try await accepted.move([1, 2, 3], to: 1000)
            #expect(try await buffer.move(from: 999, byteCount: 5) == [0, 1, 2, 3, 0])
            let whole = [UInt8](repeating: 7, count: buffer.byteCount)
            try await buffer.move(whole, to: 0)
            #expect(try await accepted.move(from: 0, byteCount: whole.count) == whole)
            // A counter that both count up: nothing is lost.
            try await buffer.move([UInt8](repeating: 0, count: 8), to: 64)
            async let up: Void = self.count(buffer, 40)
            try await self.count(accepted, 40)
            try await up
            #expect(try await buffer.compareAndMove(at: 64, expected: 80, desired: 0) == 80)

            #expect(await self.refusal { _ = try await buffer.move(from: whole.count, byteCount: 1) } == "outOfBounds")
            #expect(await self.refusal { _ = try await buffer.move(from: 0, byteCount: 100_000) } == "refused")
            #expect(
                await self.refusal { _ = try await accepted.compareAndMove(at: 4, expected: 0, desired: 0) }
                    == "outOfBounds")
        }

        private func count(_ buffer: SharedMemoryBuffer, _ times: Int) async throws {
            for _ in 0..<times {
                var expected: UInt64 = 0
                while true {
                    let found = try await buffer.compareAndMove(at: 64, expected: expected, desired: expected + 1)
                    if found == expected { break }
                    expected = found
                }
            }
        }

        @Test func signalsArriveAndRightsEnd() async throws {
            let hypervisor = try TestHypervisor()
            defer { hypervisor.stop() }
            let one = try await self.join(hypervisor, "one")
            let two = try await self.join(hypervisor, "two")
            let three = try await self.join(hypervisor, "three")
            let mine = try #require(try await one.addresses().first).address
            let second = try #require(try await two.addresses().first).address
            let third = try #require(try await three.addresses().first).address
            let buffer = try await one.createBuffer(byteCount: 100, on: mine)
            let accepted = try await two.accept(try await buffer.bind(to: second))
            let shared = try await three.accept(try await buffer.bind(to: third))
            let late = try await buffer.bind(to: mine)
            try await one.reject(late)
            #expect(try await two.signalledBuffers().isEmpty)

            try await accepted.signal()
            let heard = try await one.signalledBuffers(waiting: .seconds(10))
            #expect(heard.contains { $0 === buffer })
            try await buffer.signal(second)
            #expect(try await two.signalledBuffers(waiting: .seconds(10)).first === accepted)
            #expect(try await three.signalledBuffers().isEmpty, "only the one who was meant")

            // Taken from one peer, who hears of it, while the other goes on.
            try await buffer.unbind(from: second)
            #expect(try await two.signalledBuffers(waiting: .seconds(10)).first === accepted)
            #expect(await self.refusal { _ = try await accepted.move(from: 0, byteCount: 1) } == "badToken")
            #expect(await self.refusal { try await accepted.signal() } == "badToken")
            try await accepted.unbind()
            try await shared.move([5], to: 0)
            // Bound anew: another token, the same bytes.
            let again = try await two.accept(try await buffer.bind(to: second))
            #expect(try await again.move(from: 0, byteCount: 1) == [5])
            #expect(await self.refusal { _ = try await accepted.move(from: 0, byteCount: 1) } == "badToken")

            try await buffer.destroy()
            #expect(try await three.signalledBuffers(waiting: .seconds(10)).first === shared)
            for lost in [buffer, again, shared] {
                #expect(await self.refusal { _ = try await lost.move(from: 0, byteCount: 1) } == "badToken")
            }
            #expect(try hypervisor.books().smbs.isEmpty)
        }

        @Test func administratorsDecide() async throws {
            let hypervisor = try TestHypervisor()
            defer { hypervisor.stop() }
            let administration = try await Administration.open(.socket(hypervisor.path))
            var settings = VLANSettings(name: "closed")
            settings.access = .authorised
            try await administration.createVLAN(settings)
            #expect(await self.refusal { try await administration.createVLAN(settings) } == "vlanExists")
            try await administration.createPartition("db", users: [getuid()])
            let one = try await self.join(hypervisor, "db")
            #expect(await self.refusal { _ = try await one.establish(vlan: "closed") } == "notAuthorisedOnVLAN")
            try await administration.authorise(partition: "db", vlan: "closed", limitByteCount: 30_000)
            let address = try await one.establish(vlan: "closed")
            let buffer = try await one.createBuffer(byteCount: 16_384, on: address)
            #expect(
                await self.refusal { _ = try await one.createBuffer(byteCount: 16_384, on: address) } == "quotaExceeded"
            )
            #expect(await self.refusal { try await one.withdraw(address) } == "addressInUse")

            try await administration.setFunction(enabled: false, vlan: "closed")
            #expect(await self.refusal { _ = try await buffer.bind(to: address) } == "badToken", "it has ended")
            #expect(
                await self.refusal { _ = try await one.createBuffer(byteCount: 1, on: address) } == "functionDisabled")
            try await administration.setFunction(enabled: true, vlan: "closed")
            try await administration.setFunction(enabled: false)
            #expect(await self.refusal { _ = try await one.commonVLAN(with: address) } == "functionDisabled")
            try await administration.setFunction(enabled: true)
            let second = try await one.createBuffer(byteCount: 1, on: address)
            _ = try await second.bind(to: address)

            try await administration.revoke(partition: "db", vlan: "closed")
            #expect(await self.refusal { _ = try await second.move(from: 0, byteCount: 1) } == "badToken")
            #expect(try await one.addresses().map(\.vlan) == ["default"])
            try await administration.setSlice(vlan: "default", byteCount: 0)
            let other = try #require(try await one.addresses().first).address
            #expect(await self.refusal { _ = try await one.createBuffer(byteCount: 1, on: other) } == "poolExhausted")
            try await administration.setSlice(vlan: "default", byteCount: nil)
            _ = try await one.createBuffer(byteCount: 1, on: other)
            #expect(await self.refusal { try await administration.destroyVLAN("default") } == "vlanInUse")
            try await administration.destroyVLAN("default", force: true)
            #expect(try await one.addresses().isEmpty)
            #expect(await self.refusal { try await administration.destroyPartition("db") } == "partitionInUse")
            try await administration.destroyPartition("db", force: true)
            #expect(await self.refusal { _ = try await self.join(hypervisor, "x") } == "unknownVLAN")
        }
    }
}
