import Glibc
import SMCControl
import SMCProtocol
import SMCSystem
import SMCTransport
import Testing

extension OneAtATime {
    /// A hypervisor that takes connections and says nothing, as one that is stopped.
    @Suite(.timeLimit(.minutes(1))) struct SilentHypervisorTests {
        /// Whoever comes while one asks in vain does not ask again, or each of a burst would wait for all before it.
        @Test func aBurstAsksOnce() async throws {
            var template = Array("/tmp/smc-test-XXXXXX".utf8CString)
            _ = try #require(mkdtemp(&template))
            let directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let path = directory + "/hypervisor.sock"
            let socket = try UnixSocket.listen(path: path)
            defer {
                unlink(path)
                rmdir(directory)
            }
            let loop = try EventLoop(name: "test")
            defer { loop.stop() }
            let partition = SharedMemoryPartition(
                locator: .socket(path), name: "test", vlans: [], ringByteCount: 65_536, loop: loop)
            await withTaskGroup(of: FallbackReason?.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        do throws(FallbackReason) {
                            _ = try await partition.place()
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                for await reason in group { #expect(reason?.code == .noHypervisor) }
            }
            var sessions = 0
            while try socket.accept() != nil { sessions += 1 }
            #expect(sessions == 1)
        }
    }
}
