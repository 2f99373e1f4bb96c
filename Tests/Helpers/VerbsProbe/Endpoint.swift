import Glibc
import SMCSystem
import SMCVerbs

struct ProbeFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

func require(_ condition: Bool, _ text: @autoclosure () -> String) throws {
    if !condition { throw ProbeFailure(text()) }
}

/// Pages for the device to read and write.
final class Pages {
    let base: UnsafeMutableRawPointer
    let count: Int

    init(count: Int) {
        self.count = count
        self.base = .allocate(byteCount: count, alignment: 4096)
        self.base.initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    deinit { self.base.deallocate() }

    subscript(index: Int) -> UInt8 {
        get { self.base.load(fromByteOffset: index, as: UInt8.self) }
        set { self.base.storeBytes(of: newValue, toByteOffset: index, as: UInt8.self) }
    }
}

/// One queue pair with everything that it needs.
///
/// The memory: the first half is where the peer writes, then what we write from, then messages out and messages in.
final class Endpoint {
    static let areaCount = 64 * 1024
    static let messageCount = 44
    static let receiveCount = 16
    static let sourceOffset = areaCount
    static let outOffset = 2 * areaCount
    static let inOffset = 2 * areaCount + 4096

    let route: RDMARoute
    let pages = Pages(count: 3 * areaCount)
    let region: MemoryRegion
    let channel: CompletionChannel
    let completions: CompletionQueue
    let queuePair: QueuePair
    let firstNumber = UInt32.random(in: 0...Limits.numberMax)
    private var waiting: [WorkCompletion] = []

    init(_ route: RDMARoute) throws {
        self.route = route
        let domain = try ProtectionDomain(route.device)
        self.region = try MemoryRegion(domain, base: self.pages.base, byteCount: self.pages.count, owner: self.pages)
        self.channel = try CompletionChannel(route.device)
        self.completions = try CompletionQueue(self.channel, capacity: 128, tag: 77)
        self.queuePair = try QueuePair(
            domain, sendQueue: self.completions, receiveQueue: self.completions,
            capacity: .init(sendRequests: 48, receiveRequests: Self.receiveCount, inlineByteCount: 1024))
    }

    /// What the peer needs, as words of a line.
    var values: [UInt64] {
        [
            UInt64(self.queuePair.number), UInt64(self.firstNumber), self.route.sourceGID.high,
            self.route.sourceGID.low, UInt64(self.route.activeMTU), self.region.address, UInt64(self.region.remoteKey),
        ]
    }

    func start(with peer: [UInt64]) throws {
        try self.queuePair.toInitialized(port: self.route.port)
        for slot in 0..<Self.receiveCount { try self.postReceive(slot) }
        try self.queuePair.toReadyToReceive(
            .init(
                number: UInt32(peer[0]), gid: GID(high: peer[2], low: peer[3]), packetSequenceNumber: UInt32(peer[1]),
                pathMTU: min(self.route.activeMTU, UInt8(peer[4]))),
            port: self.route.port, gidIndex: self.route.gidIndex)
        try self.queuePair.toReadyToSend(packetSequenceNumber: self.firstNumber)
        try require(try self.queuePair.queryState() == .readyToSend, "the device does not say RTS")
        try self.completions.arm()
    }

    func postReceive(_ slot: Int) throws {
        let segment = self.region.segment(at: Self.inOffset + slot * 64, byteCount: Self.messageCount)
        try self.queuePair.postReceive(id: 1000 + UInt64(slot), into: segment)
    }

    /// The next completion, slept for on the channel.
    func next(timeout: Duration = .seconds(20)) throws -> WorkCompletion {
        let deadline = ContinuousClock.now + timeout
        while true {
            if !self.waiting.isEmpty { return self.waiting.removeFirst() }
            if try self.completions.poll({ self.waiting.append($0) }) > 0 { continue }
            let left = ContinuousClock.now.duration(to: deadline)
            try require(left > .zero, "no completion within \(timeout)")
            _ = try Readiness.wait(self.channel.descriptor, timeout: left)
            while let tag = try self.channel.nextEvent() {
                try require(tag == 77, "event with tag \(tag)")
                try self.completions.arm()
            }
        }
    }
}
