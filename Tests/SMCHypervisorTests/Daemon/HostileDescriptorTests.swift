import Glibc
import SMCControl
import SMCHypervisor
import SMCSystem
import SMCWire
import Testing

/// What a client can do with descriptors that it was given, or gives. The hypervisor must not wait for anybody.
@Suite struct HostileDescriptorTests {
    /// Makes every call on the other end of a pair's signals wait, if that can be done at all.
    private func clog(_ descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFL, 0)
        #expect(fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK) == 0)
        var most: UInt64 = .max - 1
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while poll(&entry, 1, 0) == 1, entry.revents & Int16(POLLOUT) != 0 {
            guard write(descriptor, &most, 8) == 8 else { return }
        }
    }

    /// When a partition ends, the hypervisor rings the signals of its pairs. They may be full, and set to wait.
    @Test func cloggedSignalsDoNotStopTheHypervisor() throws {
        let daemon = try TestDaemon()
        let one = try TestPartition(daemon, "one")
        var two: TestPartition? = try TestPartition(daemon, "two")
        let created = try one.session.createSMB(ringByteCount: 1, on: one.address)
        let bound = try one.session.bind(created.owner, to: two!.address)
        let accepted = try two!.session.accept(bound.offer, from: one.address)
        let pair = try present(accepted.takeSignal().takeNewPair())
        self.clog(pair.outgoingEvent.descriptor.rawValue)
        self.clog(pair.incomingEvent.descriptor.rawValue)
        two = nil
        #expect(try daemon.status().partitions.map(\.name) == ["one"])
        _ = consume pair
    }

    /// A socket whose last close waits for a peer that never reads.
    private final class Lingerer {
        private let socket: TCPSocket
        let reader: TCPSocket

        init() throws {
            let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: 0).first)
            let listener = try TCPSocket.listen(on: any, backlog: 1)
            self.socket = try TCPSocket.startConnecting(to: try listener.localAddress())
            #expect(try Readiness.wait(listener.descriptor, timeout: .seconds(5)))
            self.reader = try #require(try listener.accept())
            while try Readiness.wait(self.socket.descriptor, toWrite: true, timeout: .milliseconds(50)) {
                _ = try self.socket.write([UInt8](repeating: 0, count: 1 << 20), from: 0)
            }
        }

        /// Sends a descriptor of it away.
        ///
        /// - Returns: false when the receiver ended before.
        func send(to receiver: borrowing UnixSocket) -> Bool {
            self.linger(isOn: true)
            do throws(SystemCallError) {
                try receiver.send([1], descriptors: [self.socket.descriptor])
                return true
            } catch {
                self.linger(isOn: false)
                return false
            }
        }

        private func linger(isOn: Bool) {
            let number = self.socket.descriptor
            let flags = fcntl(number, F_GETFL, 0)
            #expect(fcntl(number, F_SETFL, isOn ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0)
            var patience = Glibc.linger(l_onoff: isOn ? 1 : 0, l_linger: 3600)
            setsockopt(number, SOL_SOCKET, SO_LINGER, &patience, socklen_t(MemoryLayout<Glibc.linger>.size))
        }
    }

    /// Whether the socket is taken, or lies in the queue of a session that is ended because of an earlier message.
    @Test(arguments: [false, true])
    func descriptorsWhoseCloseWaitsDoNotStopTheHypervisor(isQueued: Bool) throws {
        let daemon = try TestDaemon()
        for _ in 0..<20 {
            let hostile = try UnixSocket.connect(path: daemon.socketPath)
            var lingerer: Lingerer? = try Lingerer()
            // It may be so fast that it ends the session before the second message.
            if isQueued { try hostile.send([1, 2, 3]) }
            guard lingerer!.send(to: hostile) else { continue }
            let reader = lingerer!.reader
            // Now the receiver's is the last.
            lingerer = nil
            #expect(try daemon.status().partitions.isEmpty)
            return withExtendedLifetime(reader) {}
        }
        Issue.record("it was always faster")
    }
}
