import Glibc
import SMCSystem
import SMCVerbs

/// Shows on a real device that SMCVerbs does what it says. Run by Tests/Lab/jobs/verbs-probe.sh.
@main
struct VerbsProbe {
    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            switch (words.first, words.count) {
            case ("refusals", 2): try Self.refusals(own: words[1])
            case ("own", 2): try Self.withinOneHost(words[1])
            case ("pair", 6): try Self.pair(words[1], me: words[2], peer: words[3], from: words[4], to: words[5])
            case ("removal", 3): try Self.removal(words[1], flag: words[2])
            default:
                say("usage: verbs-probe refusals IP | own IP | pair DIR ME PEER MY-IP PEER-IP | removal IP FLAG-FILE")
                exit(64)
            }
            say("probe ok")
        } catch {
            say("probe failed: \(error)")
            exit(1)
        }
    }

    /// A sockaddr_in or sockaddr_in6.
    static func address(_ text: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET6, text, &bytes) == 1 {
            return [10, 0, 0x1F, 0x90, 0, 0, 0, 0] + bytes + [0, 0, 0, 0]
        }
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        try require(parts.count == 4, "not an IPv4 address: \(text)")
        return [2, 0, 0x1F, 0x90] + parts + [UInt8](repeating: 0, count: 8)
    }

    static func describe(_ route: RDMARoute) throws {
        let mac = route.hardwareAddress.map { $0.map { String($0, radix: 16) }.joined(separator: ":") } ?? "unknown"
        say(
            "route: \(route.device.name)/\(route.port) gid \(route.sourceGID) index \(route.gidIndex) "
                + "to \(route.destinationGID) mtu \(route.activeMTU) mac \(mac) ifindex \(route.interfaceIndex)")
        say("port: \(try route.device.portAttributes(route.port))")
        say("device: \(try route.device.capabilities())")
    }

    static func refusals(own: String) throws {
        let silent = own.split(separator: ".").dropLast().joined(separator: ".") + ".99"
        say("devices: \(RDMADevices.names())")
        for (from, to) in [
            ("127.0.0.1", own), (nil, "203.0.113.9"), ("192.0.2.77", own), (nil, "127.0.0.1"), (nil, silent),
        ] {
            let clock = ContinuousClock.now
            do {
                let route = try RDMARoute.resolve(from: try from.map(Self.address), to: Self.address(to))
                say("\(from ?? "any") -> \(to): \(route.device.name) \(route.sourceGID)")
            } catch let error as VerbsError {
                say("\(from ?? "any") -> \(to): \(error) [\(ContinuousClock.now - clock)]")
            }
        }
        let route = try RDMARoute.resolve(from: Self.address(own), to: Self.address(own))
        let endpoint = try Endpoint(route)
        for move in [
            { try endpoint.queuePair.toReadyToSend(packetSequenceNumber: 1) }, { try endpoint.queuePair.toError() },
        ] {
            do {
                try move()
                throw ProbeFailure("an illegal move went through")
            } catch let error as VerbsError {
                say(error)
            }
        }
    }

    /// Two queue pairs of one process, over the address of this host.
    static func withinOneHost(_ own: String) throws {
        let route = try RDMARoute.resolve(from: Self.address(own), to: Self.address(own))
        let second = try RDMARoute.resolve(from: nil, to: Self.address(own))
        try require(route.device === second.device, "two objects for one device")
        try Self.describe(route)
        let (left, right) = try Self.connected(route)
        say("inline granted: \(left.queuePair.inlineMax)")

        // A write with a wrong key: both ends know.
        let wrong = RemoteAddress(address: right.region.address, key: right.region.remoteKey &+ 0x1111)
        try left.queuePair.post(
            SendRequest(id: 9, .write(wrong), left.region.segment(at: 0, byteCount: 8), flags: .signaled))
        let completion = try left.next()
        say("wrong key: \(completion.status)")
        try require(completion.status == .remoteAccess && completion.id == 9, "\(completion)")
        try require(try left.queuePair.queryState() == .error, "not in ERROR after a remote access error")
        try left.queuePair.toError()
        for _ in 0..<Endpoint.receiveCount {
            let flushed = try left.next()
            try require(flushed.status == .flushed && flushed.kind == nil, "\(flushed)")
        }
        say("flushed: \(Endpoint.receiveCount) receives")
        for _ in 0..<8 { if let event = try route.device.nextEvent() { say("device event: \(event)") } }
    }

    static func connected(_ route: RDMARoute) throws -> (Endpoint, Endpoint) {
        let left = try Endpoint(route)
        let right = try Endpoint(route)
        try left.start(with: right.values)
        try right.start(with: left.values)
        return (left, right)
    }

    /// This host's half of an exchange with another host; values travel in files of a common directory.
    static func pair(_ directory: String, me: String, peer: String, from: String, to: String) throws {
        let route = try RDMARoute.resolve(from: Self.address(from), to: Self.address(to))
        try Self.describe(route)
        let endpoint = try Endpoint(route)
        try Files.write(endpoint.values, to: "\(directory)/values-\(me)")
        let values = try Files.read("\(directory)/values-\(peer)")
        try endpoint.start(with: values)
        try Files.write([1], to: "\(directory)/started-\(me)")
        _ = try Files.read("\(directory)/started-\(peer)")
        var exchange = Exchange(endpoint: endpoint, peer: values, mine: UInt8(me) ?? 0, theirs: UInt8(peer) ?? 0)
        let clock = ContinuousClock.now
        try exchange.run()
        say("exchanged \(Exchange.rounds) rounds in \(ContinuousClock.now - clock)")

        // The first leaves; the second finds out. The files make sure that neither still needs the other.
        try Files.write([1], to: "\(directory)/done-\(me)")
        _ = try Files.read("\(directory)/done-\(peer)")
        guard me > peer else { return }
        _ = try Files.read("\(directory)/gone-\(peer)")
        let start = ContinuousClock.now
        let remote = RemoteAddress(address: values[5], key: UInt32(values[6]))
        try endpoint.queuePair.post(
            SendRequest(id: 6, .write(remote), endpoint.region.segment(at: 0, byteCount: 8), flags: .signaled))
        let completion = try endpoint.next()
        let elapsed = ContinuousClock.now - start
        say("dead peer after \(elapsed): \(completion.status)")
        try require(completion.status == .retryExceeded, "\(completion)")
        try require(elapsed < .seconds(3), "too late")
    }

    /// Uses the device until it is removed, lets go, stays alive, and uses it again when the flag file says so.
    static func removal(_ own: String, flag: String) throws {
        try Self.useUntilRemoved(own)
        say("closed")
        _ = try Files.read(flag)
        let route = try RDMARoute.resolve(from: Self.address(own), to: Self.address(own))
        try Self.describe(route)
        let (left, right) = try Self.connected(route)
        let remote = RemoteAddress(address: right.region.address, key: right.region.remoteKey)
        left.pages[Endpoint.sourceOffset] = 42
        try left.queuePair.post(
            SendRequest(
                id: 1, .write(remote), left.region.segment(at: Endpoint.sourceOffset, byteCount: 1), flags: .signaled))
        try left.next().checkSuccess(of: "write after return")
        try require(right.pages[0] == 42, "the byte did not arrive")
        say("used again")
    }

    static func useUntilRemoved(_ own: String) throws {
        let route = try RDMARoute.resolve(from: Self.address(own), to: Self.address(own))
        let (left, right) = try Self.connected(route)
        say("waiting for removal")
        let device = route.device
        let deadline = ContinuousClock.now + .seconds(60)
        while !device.isRemoved {
            try require(ContinuousClock.now < deadline, "no removal event")
            _ = try Readiness.wait(device.managementDescriptor, timeout: .milliseconds(200))
            while let event = try device.nextEvent() { say("device event: \(event)") }
        }
        withExtendedLifetime((left, right)) {}
    }
}

/// A line that is seen at once, also in a file.
func say(_ value: some Any) {
    print(value)
    fflush(nil)
}
