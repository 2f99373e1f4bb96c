import Glibc
import SMCSystem

/// Another process to which descriptors are passed on. It keeps them, and writes into their memory, until it is killed.
enum Holder {
    static func run(socketPath: String) throws {
        let listener = try UnixSocket.listen(path: socketPath)
        say("holds")
        let isThere = try Readiness.wait(listener.descriptor.rawValue, timeout: .seconds(60))
        guard isThere, let socket = try listener.accept()
        else { throw Trouble(description: "nobody came") }
        guard try Readiness.wait(socket.descriptor.rawValue, timeout: .seconds(60)),
            let message = try socket.receive(maximumByteCount: 16)
        else { throw Trouble(description: "nothing came") }
        let mapped = message.descriptors.compactMap { number -> UnsafeMutableRawPointer? in
            let address = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0)
            return address == MAP_FAILED ? nil : address
        }
        guard mapped.count >= 4 else { throw Trouble(description: "only \(mapped.count) mappings") }
        try socket.send([1])
        say("has \(mapped.count) mappings")
        var word: UInt64 = 0
        while true {
            for address in mapped {
                address.storeBytes(of: word, toByteOffset: Int(word % 512) * 8, as: UInt64.self)
            }
            word &+= 0x9e37_79b9
            usleep(50)
        }
    }
}
