import SMCProtocol
import SMCSystem
import SMCTransport
import Testing

@testable import SMC

extension OneAtATime {
    /// How long partitions, listeners and connections live, as programs hold them.
    @Suite(.timeLimit(.minutes(1))) struct ListenerTests {
        private static func partition(_ hypervisor: TestHypervisor? = nil) async throws -> Partition {
            var configuration = Configuration()
            configuration.hypervisor = hypervisor.map { .socket($0.path) } ?? .none
            configuration.paths = hypervisor == nil ? [.tcp] : [.sharedMemory, .tcp]
            configuration.firstBytesTimeout = .milliseconds(20)
            return try await Partition.join(configuration)
        }

        private static func connectPlainly(_ port: Int) async throws -> Result<TCPSocket, SystemCallError> {
            let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: UInt16(port)).first)
            let socket = try TCPSocket.startConnecting(to: any)
            #expect(try Readiness.wait(socket.descriptor, toWrite: true, timeout: .seconds(5)))
            do throws(SystemCallError) {
                try socket.connectResult()
                return .success(socket)
            } catch {
                return .failure(error)
            }
        }

        private static func isRefused(_ port: Int) async throws -> Bool {
            let limit = ContinuousClock.now.advanced(by: .seconds(10))
            while ContinuousClock.now < limit {
                if case .failure(let error) = try await Self.connectPlainly(port) {
                    return error.errno == Errno.connectionRefused
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            return false
        }

        private static func iterator(_ partition: Partition) async throws -> (Listener.AsyncIterator, port: Int) {
            let listener = try await partition.listen(on: "127.0.0.1", port: 0)
            return (listener.makeAsyncIterator(), listener.port)
        }

        /// As in `for await connection in try await partition.listen(port: 7000)`.
        @Test func whoIteratesNeedNotHoldTheListener() async throws {
            let partition = try await Self.partition()
            var (iterator, port) = try await Self.iterator(partition)
            let socket = try await Self.connectPlainly(port).get()
            let connection = try #require(await iterator.next())
            try await connection.send([1])
            #expect(try Readiness.wait(socket.descriptor, timeout: .seconds(5)))
            await connection.close()
            await partition.leave()
        }

        @Test func aCancelledIterationStopsListening() async throws {
            let partition = try await Self.partition()
            let listener = try await partition.listen(on: "127.0.0.1", port: 0)
            let task = Task { for await connection in listener { connection.abort() } }
            try await Task.sleep(for: .milliseconds(20))
            task.cancel()
            await task.value
            #expect(try await Self.isRefused(listener.port), "clients connect to a listener that nobody hears")
            await partition.leave()
        }

        @Test func leavingStopsListening() async throws {
            let partition = try await Self.partition()
            let listener = try await partition.listen(on: "127.0.0.1", port: 0)
            let port = listener.port
            let task = Task { for await connection in listener { connection.abort() } }
            await partition.leave()
            await task.value
            #expect(try await Self.isRefused(port))
        }

        private static func connections(
            _ hypervisor: TestHypervisor?
        ) async throws -> (client: Connection, server: Connection) {
            let (clients, servers) = (try await Self.partition(hypervisor), try await Self.partition(hypervisor))
            var (iterator, port) = try await Self.iterator(servers)
            async let client = clients.connect(to: "127.0.0.1", port: port)
            let server = try #require(await iterator.next())
            return (try await client, server)
        }

        /// A program may keep its connections and forget its partition.
        @Test(arguments: Medium.allCases) func aConnectionNeedsNoPartition(medium: Medium) async throws {
            let hypervisor = medium == .sharedMemory ? try TestHypervisor() : nil
            let (client, server) = try await Self.connections(hypervisor)
            #expect(client.path == (medium == .sharedMemory ? .sharedMemory : .tcp))
            let limit = ContinuousClock.now.advanced(by: .seconds(20))
            for number in 0..<3 as Range<UInt8> {
                let reader = Task { try await server.receive(atMost: 1, until: limit) }
                try await Task.sleep(for: .milliseconds(50))  // So that it sleeps.
                try await client.send([number], until: limit)
                #expect(try await reader.value == [number])
            }
            await client.close()
            #expect(try await server.receive(atMost: 1, until: limit) == nil)
            await server.close()
            hypervisor?.stop()
        }

        @Test func aCancelledConnectIsCancelled() async throws {
            let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: 0).first)
            let silent = try TCPSocket.listen(on: any, backlog: 8)
            let port = Int(try silent.localAddress().port)
            let hypervisor = try TestHypervisor()
            let partition = try await Self.partition(hypervisor)
            let task = Task {
                await failure { () throws(SMCError) in try await partition.connect(to: "127.0.0.1", port: port) }
            }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            #expect(await task.value == .cancelled)
            await partition.leave()
            hypervisor.stop()
        }
    }
}
