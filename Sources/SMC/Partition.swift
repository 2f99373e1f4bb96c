internal import SMCProtocol
internal import SMCSystem
internal import SMCTransport
internal import Synchronization

/// This program's point of presence: what it listens and connects with.
///
/// Usually a program has one. All methods may be called from any task. Listeners and connections go on when the program
/// lets go of their partition, until ``leave()``.
public final class Partition: Sendable {
    private let runtime: PartitionRuntime
    private struct WeakAcceptor {
        weak var acceptor: Acceptor?
    }
    /// Those of our listeners, which end when we leave.
    private let acceptors = Mutex<[WeakAcceptor]>([])

    private init(_ runtime: PartitionRuntime) {
        self.runtime = runtime
    }

    /// Becomes a partition.
    ///
    /// Without a hypervisor the partition works all the same, without shared memory; every connection's
    /// ``Connection/decision`` says why.
    /// - Throws: ``SMCError`` with `invalidConfiguration`, or `system` when the process has no descriptors left.
    public static func join(_ configuration: Configuration = Configuration()) async throws(SMCError) -> Partition {
        let translated = try configuration.translated()
        do throws(SystemCallError) {
            let runtime = try PartitionRuntime(configuration: translated)
            // Early, so that the first connection does not wait for a hypervisor to start; a failure is no failure yet.
            if translated.paths.contains(.sharedMemory) { try? await runtime.join() }
            return Partition(runtime)
        } catch {
            throw SMCError(error)
        }
    }

    /// Connects to a listener, by whatever path is fastest.
    ///
    /// - Parameter host: a name, or an IPv4 or IPv6 address.
    /// - Throws: ``SMCError`` with `unknownHost`, `cannotConnect` or `handshakeFailed`.
    public func connect(to host: String, port: Int) async throws(SMCError) -> Connection {
        guard let port = UInt16(exactly: port), port > 0 else {
            throw SMCError(.cannotConnect, "there is no port \(port): 1 to 65535")
        }
        do throws(ConnectError) {
            return Connection(try await self.runtime.connect(host: host, port: port))
        } catch {
            throw SMCError(error)
        }
    }

    /// Listens for connections, of swift-smc programs and of plain TCP clients.
    ///
    /// - Parameters:
    ///   - host: an address of this host; nil for all of them.
    ///   - port: 0 lets the system choose; see ``Listener/port``.
    public func listen(on host: String? = nil, port: Int) async throws(SMCError) -> Listener {
        guard let number = UInt16(exactly: port) else {
            throw SMCError(.cannotListen, "there is no port \(port): 0 to 65535")
        }
        let addresses: [SocketAddress]
        do throws(NameResolutionError) {
            addresses = try await self.runtime.resolve(host: host, port: number, passive: true)
        } catch {
            throw SMCError(.unknownHost, "\(error)", cause: error)
        }
        // "All addresses" in IPv6 serves IPv4 as well.
        let preferred = host == nil ? addresses.first { $0.isIPv6 } : nil
        var failure = SMCError(.cannotListen, "host '\(host ?? "*")' has no address")
        for address in [preferred].compactMap(\.self) + addresses {
            do throws(SystemCallError) {
                let listener = try Listener(self.runtime, address)
                self.acceptors.withLock { acceptors in
                    acceptors.removeAll { $0.acceptor == nil }
                    acceptors.append(WeakAcceptor(acceptor: listener.acceptor))
                }
                return listener
            } catch {
                failure = SMCError(
                    .cannotListen, "cannot listen on \(address): \(error); choose another port or address", cause: error
                )
            }
        }
        throw failure
    }

    /// Leaves: listeners end, peers are told, memory and links are given back. Close connections first; those still open
    /// fail.
    public func leave() async {
        for acceptor in self.acceptors.withLock({ $0.compactMap(\.acceptor) }) { acceptor.stop() }
        await self.runtime.close()
    }
}
