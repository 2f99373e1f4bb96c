/// What the hypervisor answers. Every request gets exactly one answer.
package enum ControlResponse: Hashable, Sendable {
    /// To `hello`.
    case welcome
    /// To instructions that return nothing.
    case done
    case refused(HypervisorRefusal, String)
    case joined(Membership)
    case commonCEC(CommonCECAnswer)
    /// Carries one descriptor: the SMB's memory.
    case created(CreatedRecord)
    /// Carries four descriptors when the signal has new pair resources, else none.
    case bound(OfferToken, SignalRecord)
    /// Carries the descriptor of the SMB's memory, then as `bound`.
    case accepted(AcceptedRecord)
    case status(StatusPage)
    case reregistered(ReregisteredToken)
}

/// What joining gave.
package struct Membership: Hashable, Sendable {
    /// A partition's address on one VLAN.
    package struct Address: Hashable, Sendable {
        package var vlan: VLANID
        package var smgid: SMGID

        package init(vlan: VLANID, smgid: SMGID) {
            self.vlan = vlan
            self.smgid = smgid
        }
    }

    package var cec: CECID
    /// One for each VLAN, in the order of the request.
    package var addresses: [Address]
    package var hypervisorProcessID: Int32
    /// The largest SMB that this hypervisor can ever give.
    package var largestRingByteCount: Int

    package init(cec: CECID, addresses: [Address], hypervisorProcessID: Int32, largestRingByteCount: Int) {
        self.cec = cec
        self.addresses = addresses
        self.hypervisorProcessID = hypervisorProcessID
        self.largestRingByteCount = largestRingByteCount
    }
}

/// The answer to the common-CEC query (A45): both have access to the same physical memory, or why not.
package enum CommonCECAnswer: Hashable, Sendable {
    case common(on: VLANID)
    case notCommon(HypervisorRefusal, String)
}

/// A created SMB, without its memory.
package struct CreatedRecord: Hashable, Sendable {
    package var owner: OwnerToken
    /// Bytes of the ring, at least what was asked for.
    package var ringByteCount: Int
    /// Bytes of the file: control area and ring.
    package var fileByteCount: Int

    package init(owner: OwnerToken, ringByteCount: Int, fileByteCount: Int) {
        self.owner = owner
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
    }
}

/// An accepted SMB, without its memory.
package struct AcceptedRecord: Hashable, Sendable {
    package var buffer: BufferToken
    package var ringByteCount: Int
    package var fileByteCount: Int
    package var signal: SignalRecord

    package init(buffer: BufferToken, ringByteCount: Int, fileByteCount: Int, signal: SignalRecord) {
        self.buffer = buffer
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
        self.signal = signal
    }
}

/// The right to signal about one SMB, without descriptors (A20).
package struct SignalRecord: Hashable, Sendable {
    package var token: SignalToken
    /// Which pair of partitions; the descriptors of a pair come once for each session.
    package var pair: UInt64
    /// The bit of the status bit array peer → owner that stands for this SMB.
    package var bit: Int
    /// Descriptors come with it: incoming array, outgoing array, incoming event, outgoing event.
    package var hasNewPair: Bool

    package init(token: SignalToken, pair: UInt64, bit: Int, hasNewPair: Bool) {
        self.token = token
        self.pair = pair
        self.bit = bit
        self.hasNewPair = hasNewPair
    }
}

extension ControlResponse {
    private enum Kind: UInt16 {
        case welcome = 0x8001
        case done, refused, joined, commonCEC, created, bound, accepted, status
        case reregistered = 0x8040
    }

    private var kind: Kind {
        switch self {
        case .welcome: .welcome
        case .done: .done
        case .refused: .refused
        case .joined: .joined
        case .commonCEC: .commonCEC
        case .created: .created
        case .bound: .bound
        case .accepted: .accepted
        case .status: .status
        case .reregistered: .reregistered
        }
    }

    /// How many descriptors come with this answer.
    package var descriptorCount: Int {
        switch self {
        case .created: 1
        case .bound(_, let signal): signal.hasNewPair ? 4 : 0
        case .accepted(let record): record.signal.hasNewPair ? 5 : 1
        default: 0
        }
    }

    /// The packet of this answer.
    package func encoded(requestID: UInt32) -> [UInt8] {
        var body = ControlWriter()
        switch self {
        case .welcome, .done: break
        case .refused(let refusal, let text): Self.encode(refusal, text, into: &body)
        case .joined(let membership): membership.encode(into: &body)
        case .commonCEC(.common(let vlan)):
            body.flag(true)
            body.vlan(vlan)
        case .commonCEC(.notCommon(let refusal, let text)):
            body.flag(false)
            Self.encode(refusal, text, into: &body)
        case .created(let record):
            body.token(record.owner)
            body.count(record.ringByteCount)
            body.count(record.fileByteCount)
        case .bound(let offer, let signal):
            body.integer(offer.rawValue)
            signal.encode(into: &body)
        case .accepted(let record):
            body.token(record.buffer)
            body.count(record.ringByteCount)
            body.count(record.fileByteCount)
            record.signal.encode(into: &body)
        case .status(let page): page.encode(into: &body)
        case .reregistered(let token): token.encode(into: &body)
        }
        return ControlHeader(type: self.kind.rawValue, requestID: requestID).packet(body: body.bytes)
    }

    /// Reads a packet whose header was read already.
    package init(decoding packet: [UInt8], header: ControlHeader) throws(ControlWireError) {
        guard let kind = Kind(rawValue: header.type) else { throw .unknownType(header.type) }
        var body = ControlReader(packet.dropFirst(ControlHeader.byteCount))
        switch kind {
        case .welcome: self = .welcome
        case .done: self = .done
        case .refused:
            let (refusal, text) = try Self.decodeRefusal(&body)
            self = .refused(refusal, text)
        case .joined: self = .joined(try Membership(decoding: &body))
        case .commonCEC:
            if try body.flag("answer") {
                self = .commonCEC(.common(on: try body.vlan()))
            } else {
                let (refusal, text) = try Self.decodeRefusal(&body)
                self = .commonCEC(.notCommon(refusal, text))
            }
        case .created:
            self = .created(
                CreatedRecord(
                    owner: try body.token(OwnerToken.self), ringByteCount: try body.ringByteCount(),
                    fileByteCount: try body.fileByteCount()))
        case .bound:
            let offer = OfferToken(rawValue: try body.integer(UInt64.self))
            self = .bound(offer, try SignalRecord(decoding: &body))
        case .accepted:
            self = .accepted(
                AcceptedRecord(
                    buffer: try body.token(BufferToken.self), ringByteCount: try body.ringByteCount(),
                    fileByteCount: try body.fileByteCount(), signal: try SignalRecord(decoding: &body)))
        case .status: self = .status(try StatusPage(decoding: &body))
        case .reregistered: self = .reregistered(try ReregisteredToken(decoding: &body))
        }
        try body.finish()
    }

    private static func encode(_ refusal: HypervisorRefusal, _ text: String, into body: inout ControlWriter) {
        body.integer(refusal.rawValue)
        body.text(text, limit: ControlLimits.refusalTextByteCount)
    }

    private static func decodeRefusal(
        _ body: inout ControlReader
    ) throws(ControlWireError) -> (HypervisorRefusal, String) {
        guard let refusal = HypervisorRefusal(rawValue: try body.integer(UInt16.self)) else {
            throw .invalidField("refusal code")
        }
        return (refusal, try body.text("refusal", limit: ControlLimits.refusalTextByteCount))
    }
}

extension ControlReader {
    fileprivate mutating func ringByteCount() throws(ControlWireError) -> Int {
        try self.count("ring size", limit: ControlLimits.ringByteCount)
    }

    fileprivate mutating func fileByteCount() throws(ControlWireError) -> Int {
        try self.count("file size", limit: 2 * ControlLimits.ringByteCount)
    }
}

extension Membership {
    fileprivate func encode(into body: inout ControlWriter) {
        body.integer(self.cec.high)
        body.integer(self.cec.low)
        body.list(self.addresses, limit: ControlLimits.vlansPerPartition) { $0.address(of: $1) }
        body.integer(UInt32(bitPattern: self.hypervisorProcessID))
        body.count(self.largestRingByteCount)
    }

    fileprivate init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.cec = CECID(high: try body.integer(UInt64.self), low: try body.integer(UInt64.self))
        self.addresses = try body.list("list of addresses", limit: ControlLimits.vlansPerPartition) {
            (reader) throws(ControlWireError) in try reader.membershipAddress()
        }
        self.hypervisorProcessID = Int32(bitPattern: try body.integer(UInt32.self))
        self.largestRingByteCount = try body.ringByteCount()
    }
}

extension ControlWriter {
    mutating func address(of address: Membership.Address) {
        self.vlan(address.vlan)
        self.address(address.smgid)
    }
}

extension ControlReader {
    mutating func membershipAddress() throws(ControlWireError) -> Membership.Address {
        Membership.Address(vlan: try self.vlan(), smgid: try self.address())
    }
}

extension SignalRecord {
    fileprivate func encode(into body: inout ControlWriter) {
        body.token(self.token)
        body.integer(self.pair)
        body.integer(UInt32(truncatingIfNeeded: self.bit))
        body.flag(self.hasNewPair)
    }

    fileprivate init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.token = try body.token(SignalToken.self)
        self.pair = try body.integer(UInt64.self)
        self.bit = Int(try body.integer(UInt32.self))
        self.hasNewPair = try body.flag("pair flag")
    }
}
