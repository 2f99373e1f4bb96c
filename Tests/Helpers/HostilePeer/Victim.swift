import Glibc
import SMCControl
import SMCMemory
import SMCProtocol
import SMCSystem
import SMCTransport
import SMCWire

/// A connection over shared memory to the victim, with everything laid bare that its library would keep to itself.
final class Victim {
    let session: HypervisorSession
    let socket: TCPSocket
    /// The victim's SMB, which we accepted: it reads what we write here.
    let theirs: Mapping
    let theirFile: MemoryFile
    /// Ours, which the victim writes.
    let ours: Mapping
    let ourFile: MemoryFile
    let pair: PairResources
    let bit: Int
    private let own: BufferElement
    private let outgoing: BufferElement
    private var produced: UInt64 = 0
    private var consumed: UInt64 = 0

    /// A correct handshake.
    init(socket path: String, port: UInt16) throws {
        self.session = try HypervisorSession.connect(socketPath: path, timeout: .seconds(10))
        let membership = try self.session.join(name: "hostile")
        guard let address = try SocketAddress.resolve(host: "127.0.0.1", port: port).first else {
            throw Trouble(description: "no address")
        }
        self.socket = try TCPSocket.startConnecting(to: address)
        var handshake = ClientHandshake(
            offer: LocalOffer(
                peerID: PeerID(rawValue: 1), instance: 1, hostName: HostName("hostile"),
                sharedMemory: LocalOffer.SharedMemory(
                    addresses: membership.addresses.map(\.smgid),
                    systemEID: SharedMemoryPartition.systemEID(of: membership.cec))))
        guard case .propose(let proposal) = handshake.connected() else { throw Trouble(description: "no Proposal") }
        try Self.send(.proposal(proposal), self.socket)
        guard case .joinSharedMemory(let endpoint) = handshake.received(try Self.receive(self.socket)) else {
            throw Trouble(description: "the victim does not accept shared memory")
        }
        let accepted = try self.session.accept(OfferToken(rawValue: endpoint.dmbToken), from: endpoint.gid)
        self.theirs = try BufferElement.map(accepted.file, ringByteCount: accepted.ringByteCount)
        self.outgoing = BufferElement(sharedMemory: self.theirs, ringByteCount: accepted.ringByteCount)
        self.outgoing.respond(self.outgoing.challenge.expectedResponse)
        self.bit = accepted.signal.bit
        self.theirFile = try Self.again(accepted.file)
        let created = try self.session.createSMB(ringByteCount: 65_536, on: membership.addresses[0].smgid)
        let bound = try self.session.bind(created.owner, to: endpoint.gid)
        self.ours = try BufferElement.map(created.file, ringByteCount: created.ringByteCount)
        self.ourFile = try Self.again(created.file)
        self.own = BufferElement(sharedMemory: self.ours, ringByteCount: created.ringByteCount)
        let challenge = MemoryChallenge.random()
        self.own.writeHeader(challenge: challenge)
        guard let size = CompressedSize(holding: created.ringByteCount) else { throw Trouble(description: "no size") }
        let offer = bound.offer.rawValue
        guard let pair = accepted.takeSignal().takeNewPair() else { throw Trouble(description: "no signals") }
        self.pair = pair
        let ourEndpoint = DMBEndpoint(
            gid: membership.addresses[0].smgid, dmbToken: offer, elementSize: size, linkID: 1,
            channel: HandshakeConstants.channel)
        try Self.send(.confirm(handshake.confirm(with: .dmb(ourEndpoint))), self.socket)
        for _ in 0..<10_000 where self.own.response != challenge.expectedResponse { usleep(1000) }
        guard self.own.response == challenge.expectedResponse else { throw Trouble(description: "no proof") }
    }

    private static func again(_ file: borrowing MemoryFile) throws -> MemoryFile {
        try MemoryFile.adopt(file.descriptor.duplicate(), byteCount: file.byteCount)
    }

    /// All that we were given, or made, as far as the victim or the hypervisor has it too.
    var descriptors: [(name: String, number: Int32)] {
        [
            ("their SMB", self.theirFile.descriptor.rawValue), ("our SMB", self.ourFile.descriptor.rawValue),
            ("incoming array", self.pair.incomingArray.descriptor.rawValue),
            ("outgoing array", self.pair.outgoingArray.descriptor.rawValue),
            ("incoming signals", self.pair.incomingEvent.descriptor.rawValue),
            ("outgoing signals", self.pair.outgoingEvent.descriptor.rawValue),
        ]
    }

    // MARK: CLC

    private static func send(_ message: CLCMessage, _ socket: TCPSocket) throws {
        _ = try Readiness.wait(socket.descriptor, toWrite: true, timeout: .seconds(5))
        let bytes = message.encoded()
        guard try socket.write(bytes, from: 0) == bytes.count else { throw Trouble(description: "CLC did not fit") }
    }

    private static func receive(_ socket: TCPSocket) throws -> CLCMessage {
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while ContinuousClock.now < deadline {
            if let start = try socket.peek(CLCHeader.byteCount), start.count == CLCHeader.byteCount {
                let length = try CLCHeader(decoding: start).length
                if try socket.peek(length)?.count == length, let bytes = try socket.read(length) {
                    return try CLCMessage(decoding: bytes)
                }
            }
            usleep(1000)
        }
        throw Trouble(description: "no CLC message came")
    }

    // MARK: The stream

    /// Sends bytes, and waits until all of them have come back: until then we are a peer like any other.
    func echo(_ bytes: [UInt8]) throws {
        bytes.withUnsafeBytes { self.outgoing.write($0, at: self.produced) }
        self.produced += UInt64(bytes.count)
        let readers = self.outgoing.publishProducer(self.produced)
        if readers.wantFutex { self.outgoing.wakeProducerSleeper() }
        if readers.wantSignal { self.signal() }
        let deadline = ContinuousClock.now.advanced(by: .seconds(10))
        while self.own.producer < self.consumed + UInt64(bytes.count) {
            guard ContinuousClock.now < deadline else { throw Trouble(description: "the echo did not come") }
            usleep(100)
        }
        var back = [UInt8](repeating: 0, count: bytes.count)
        back.withUnsafeMutableBytes { self.own.read(into: $0, at: self.consumed) }
        self.consumed += UInt64(bytes.count)
        let writers = self.outgoing.publishConsumer(self.consumed)
        if writers.wantFutex { self.outgoing.wakeConsumerSleeper() }
        if writers.wantSignal { self.signal() }
        guard back == bytes else { throw Trouble(description: "the echo is not what was sent") }
    }

    /// Rings, whether or not anybody sleeps.
    func signal() {
        if let array = StatusBitArray.open((try? Mapping(self.pair.outgoingArray))!) { array.set(self.bit) }
        self.pair.outgoingEvent.signal()
    }
}
