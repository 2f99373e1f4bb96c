/// What the hypervisor answers. Every request gets exactly one answer.
package enum ControlResponse: Hashable, Sendable {
    /// To `hello`.
    case welcome
    /// To instructions that return nothing.
    case done
    case refused(HypervisorRefusal, String)
    case joined(Membership)
    case commonCEC(CommonCECAnswer)
    /// The session's addresses; after `establish`, the new one.
    case addresses([Membership.Address])
    /// Carries the descriptor of the SMB's memory, if it is mapped.
    case created(CreatedRecord)
    /// Carries the descriptor of new memory, if there is a replacement, then four for the signal's pair, if that is
    /// new. The replacement is the size of the new memory's file; it holds what the old one held.
    case bound(OfferToken, SignalRecord, replacement: Int? = nil)
    /// Carries the descriptor of the SMB's memory, if it is mapped, then as `bound`.
    case accepted(AcceptedRecord)
    /// To instructions of an owner that took rights away. Carries the descriptor of new memory, if there is any.
    case replaced(Int?)
    /// To `unbindOwner`: the peer has no right any more, but there was no memory to replace what it had, and so the
    /// SMB ended with the binding. Says what memory was short.
    case ended(String)
    /// To `growPool` and `shrinkPool`: by how many bytes.
    case poolChanged(byteCount: Int)
    /// To `bindings`.
    case bindings([BindingRecord], isTainted: Bool)
    /// To `read`.
    case bytes([UInt8])
    /// To `compareAndMove`: what the word held before. It was exchanged if that is what was expected.
    case original(UInt64)
    /// To `takeStatusBits`: the words of the array, zeros at the end left out.
    case statusBits([UInt64])
    case status(StatusPage)
}

extension ControlResponse {
    private enum Kind: UInt16 {
        case welcome = 0x8001
        case done, refused, joined, commonCEC, created, bound, accepted, status
        case addresses, replaced, bytes, original, statusBits, bindings, ended, poolChanged
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
        case .addresses: .addresses
        case .replaced: .replaced
        case .bytes: .bytes
        case .original: .original
        case .statusBits: .statusBits
        case .bindings: .bindings
        case .ended: .ended
        case .poolChanged: .poolChanged
        }
    }

    /// How many descriptors come with this answer.
    package var descriptorCount: Int {
        switch self {
        case .created(let record): record.isMapped ? 1 : 0
        case .bound(_, let signal, let replacement): (replacement == nil ? 0 : 1) + (signal.hasNewPair ? 4 : 0)
        case .accepted(let record): (record.isMapped ? 1 : 0) + (record.signal.hasNewPair ? 4 : 0)
        case .replaced(let replacement): replacement == nil ? 0 : 1
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
            body.flag(record.isMapped)
        case .bound(let offer, let signal, let replacement):
            body.integer(offer.rawValue)
            signal.encode(into: &body)
            body.optional(replacement) { $0.count($1) }
        case .accepted(let record):
            body.token(record.buffer)
            body.count(record.ringByteCount)
            body.count(record.fileByteCount)
            body.flag(record.isMapped)
            record.signal.encode(into: &body)
        case .status(let page): page.encode(into: &body)
        case .addresses(let addresses):
            body.list(addresses, limit: ControlLimits.addressesPerPartition) { $0.address(of: $1) }
        case .replaced(let replacement): body.optional(replacement) { $0.count($1) }
        case .ended(let text): body.text(text, limit: ControlLimits.refusalTextByteCount)
        case .poolChanged(let byteCount): body.count(byteCount)
        case .bindings(let records, let isTainted):
            body.list(records, limit: ControlLimits.bindingsPerSMB) {
                $0.address($1.peer)
                $0.flag($1.isAccepted)
            }
            body.flag(isTainted)
        case .bytes(let bytes): body.blob(bytes, limit: ControlLimits.moveByteCount)
        case .original(let word): body.integer(word)
        case .statusBits(let words): body.list(words, limit: ControlLimits.statusWords) { $0.integer($1) }
        }
        return ControlHeader(type: self.kind.rawValue, requestID: requestID).packet(body: body.bytes)
    }

    /// Reads a packet whose header was read already.
    package init(decoding packet: [UInt8], header: ControlHeader) throws(ControlWireError) {
        guard let kind = Kind(rawValue: header.type) else { throw .unknownType(header.type) }
        var body = ControlReader(packet.dropFirst(ControlHeader.byteCount))
        self = try Self.decode(&body, kind)
        try body.finish()
    }

    private static func decode(_ body: inout ControlReader, _ kind: Kind) throws(ControlWireError) -> ControlResponse {
        switch kind {
        case .welcome: return .welcome
        case .done: return .done
        case .refused:
            let (refusal, text) = try Self.decodeRefusal(&body)
            return .refused(refusal, text)
        case .joined: return .joined(try Membership(decoding: &body))
        case .commonCEC:
            if try body.flag("answer") { return .commonCEC(.common(on: try body.vlan())) }
            let (refusal, text) = try Self.decodeRefusal(&body)
            return .commonCEC(.notCommon(refusal, text))
        case .created:
            return .created(
                CreatedRecord(
                    owner: try body.token(OwnerToken.self), ringByteCount: try body.ringByteCount(),
                    fileByteCount: try body.fileByteCount(), isMapped: try body.flag("mapping flag")))
        case .bound:
            let offer = OfferToken(rawValue: try body.integer(UInt64.self))
            let signal = try SignalRecord(decoding: &body)
            return .bound(offer, signal, replacement: try body.replacement())
        case .accepted:
            return .accepted(
                AcceptedRecord(
                    buffer: try body.token(BufferToken.self), ringByteCount: try body.ringByteCount(),
                    fileByteCount: try body.fileByteCount(), isMapped: try body.flag("mapping flag"),
                    signal: try SignalRecord(decoding: &body)))
        case .status: return .status(try StatusPage(decoding: &body))
        case .addresses:
            return .addresses(
                try body.list("list of addresses", limit: ControlLimits.addressesPerPartition) {
                    (reader) throws(ControlWireError) in try reader.membershipAddress()
                })
        case .replaced: return .replaced(try body.replacement())
        case .ended: return .ended(try body.text("reason", limit: ControlLimits.refusalTextByteCount))
        case .poolChanged: return .poolChanged(byteCount: try body.count("byte count", limit: .max))
        case .bindings:
            let records = try body.list("list of bindings", limit: ControlLimits.bindingsPerSMB) {
                (reader) throws(ControlWireError) in
                BindingRecord(peer: try reader.address(), isAccepted: try reader.flag("accepted flag"))
            }
            return .bindings(records, isTainted: try body.flag("taint flag"))
        case .bytes: return .bytes(try body.blob("bytes", limit: ControlLimits.moveByteCount))
        case .original: return .original(try body.integer(UInt64.self))
        case .statusBits:
            return .statusBits(
                try body.list("list of words", limit: ControlLimits.statusWords) {
                    (reader) throws(ControlWireError) in try reader.integer(UInt64.self)
                })
        }
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
    mutating func ringByteCount() throws(ControlWireError) -> Int {
        try self.count("ring size", limit: ControlLimits.ringByteCount)
    }

    fileprivate mutating func fileByteCount() throws(ControlWireError) -> Int {
        try self.count("file size", limit: 2 * ControlLimits.ringByteCount)
    }

    fileprivate mutating func replacement() throws(ControlWireError) -> Int? {
        try self.optional("replacement") { (reader) throws(ControlWireError) in try reader.fileByteCount() }
    }
}
