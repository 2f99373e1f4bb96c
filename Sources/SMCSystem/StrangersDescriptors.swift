internal import Glibc

/// Closes what strangers sent, on a thread of its own.
///
/// The last close of a descriptor can wait: a TCP socket with SO_LINGER and bytes on their way, a file of a file system
/// that answers late (FUSE, NFS). Whoever sends such a descriptor and closes its own must not stop a loop that serves
/// others, neither when it is taken nor when it goes with the socket in whose queue it lies.
package final class StrangersDescriptors: Sendable {
    private let worker = Worker(name: "smc-closer")

    package init() {}

    /// Closes descriptors that came with a message.
    package func close(_ numbers: [Int32]) {
        var others: [Int32] = []
        for number in numbers {
            // Closing memory waits for nobody.
            if MemoryFile.isMemoryFile(number) { _ = OwnedDescriptor(adopting: number) } else { others.append(number) }
        }
        guard !others.isEmpty else { return }
        self.worker.enqueue { [others] in Self.closeNow(others) }
    }

    /// Ends a socket at once, and takes out of its queue what would be closed with it.
    package func end(_ link: SharedUnixSocket) {
        // Nothing can be sent to it any more.
        link.socket.shutDown()
        // Mostly there is nothing, and the number is free again when this returns.
        guard let first = try? link.socket.receive(maximumByteCount: 1), !first.isEnd else { return }
        self.close(first.descriptors)
        self.worker.enqueue {
            while let message = try? link.socket.receive(maximumByteCount: 1), !message.isEnd {
                Self.closeNow(message.descriptors)
            }
        }
    }

    private static func closeNow(_ numbers: [Int32]) {
        for number in numbers {
            var noLinger = linger(l_onoff: 0, l_linger: 0)
            // SAFETY: the struct is ours. What is no socket says so, and needs it not.
            _ = unsafe setsockopt(number, SOL_SOCKET, SO_LINGER, &noLinger, socklen_t(MemoryLayout<linger>.size))
            _ = OwnedDescriptor(adopting: number)
        }
    }
}

/// A socket that several threads hold; closed with the last reference.
package final class SharedUnixSocket: Sendable {
    package let socket: UnixSocket

    package init(_ socket: consuming UnixSocket) {
        self.socket = socket
    }
}
