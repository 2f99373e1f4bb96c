/// What a partition asks of the hypervisor: the instructions of seed A24-A30 that are not on the data path, and the
/// books that people look at.
package enum ControlRequest: Hashable, Sendable {
    /// The first message of each session: are we of one version?
    case hello
    /// Become a partition with an address on each of these VLANs; none means the default one (A39).
    case join(name: String, vlans: [VLANID])
    /// Is that address on this CEC, and on a VLAN that I am on? (A45)
    case queryCommonCEC(SMGID)
    /// Take an SMB from the pool for one of my addresses (A25, A43).
    case createSMB(ringByteCount: Int, on: SMGID)
    /// Offer an SMB of mine to one peer (A27, A47).
    case bind(OwnerToken, to: SMGID)
    /// Take an SMB that was offered to me (A28, A50).
    case accept(OfferToken, from: SMGID)
    /// Turn an offer down (A29).
    case reject(OfferToken, from: SMGID)
    /// Let go of a peer's SMB that I had accepted (A30).
    case unbindBuffer(BufferToken)
    /// Take an offer, or a binding, of my SMB back (A30).
    case unbindOwner(OwnerToken)
    /// Give an SMB of mine back to the pool (A26).
    case destroy(OwnerToken)
    /// Tell what a connection runs on, for `smc status`.
    case report(ConnectionReport)
    /// A connection that was reported is over.
    case reportClosed(UInt64)
    /// The books, from this item on.
    case status(firstItem: Int)
    /// Enter an SMB of an earlier hypervisor, whose memory I still hold, into the books. Carries one descriptor.
    case reregister(Reregistration)
}

/// One connection as its partition describes it. The hypervisor shows it and decides nothing by it.
package struct ConnectionReport: Hashable, Sendable {
    /// Chosen by the partition; a second report with the same number replaces the first.
    package var identifier: UInt64
    package var vlan: VLANID?
    /// What it runs on, for people: `shared memory`, `rdma`, `tcp`.
    package var path: String
    /// Why it does not run on anything faster.
    package var reason: String?
    /// The socket addresses of its TCP connection.
    package var local: String
    package var remote: String

    package init(
        identifier: UInt64, vlan: VLANID? = nil, path: String, reason: String? = nil, local: String, remote: String
    ) {
        self.identifier = identifier
        self.vlan = vlan
        self.path = path
        self.reason = reason
        self.local = local
        self.remote = remote
    }
}

extension ControlRequest {
    private enum Kind: UInt16 {
        case hello = 1
        case join, queryCommonCEC, createSMB, bind, accept, reject, unbindBuffer, unbindOwner, destroy
        case report, reportClosed, status
        case reregister = 64
    }

    private var kind: Kind {
        switch self {
        case .hello: .hello
        case .join: .join
        case .queryCommonCEC: .queryCommonCEC
        case .createSMB: .createSMB
        case .bind: .bind
        case .accept: .accept
        case .reject: .reject
        case .unbindBuffer: .unbindBuffer
        case .unbindOwner: .unbindOwner
        case .destroy: .destroy
        case .report: .report
        case .reportClosed: .reportClosed
        case .status: .status
        case .reregister: .reregister
        }
    }

    /// For logs.
    package var name: String {
        "\(self.kind)"
    }

    /// How many descriptors come with this request.
    package var descriptorCount: Int {
        if case .reregister = self { 1 } else { 0 }
    }

    /// The packet of this request.
    package func encoded(requestID: UInt32) -> [UInt8] {
        var body = ControlWriter()
        switch self {
        case .hello: break
        case .join(let name, let vlans):
            body.text(name, limit: ControlLimits.nameByteCount)
            body.list(vlans, limit: ControlLimits.vlansPerPartition) { $0.vlan($1) }
        case .queryCommonCEC(let address): body.address(address)
        case .createSMB(let byteCount, let address):
            body.count(byteCount)
            body.address(address)
        case .bind(let token, let address):
            body.token(token)
            body.address(address)
        case .accept(let offer, let address), .reject(let offer, let address):
            body.integer(offer.rawValue)
            body.address(address)
        case .unbindBuffer(let token): body.token(token)
        case .unbindOwner(let token), .destroy(let token): body.token(token)
        case .report(let report): report.encode(into: &body)
        case .reportClosed(let identifier): body.integer(identifier)
        case .status(let firstItem): body.count(firstItem)
        case .reregister(let registration): registration.encode(into: &body)
        }
        return ControlHeader(type: self.kind.rawValue, requestID: requestID).packet(body: body.bytes)
    }

    /// Reads a packet whose header was read already.
    package init(decoding packet: [UInt8], header: ControlHeader) throws(ControlWireError) {
        guard let kind = Kind(rawValue: header.type) else { throw .unknownType(header.type) }
        var body = ControlReader(packet.dropFirst(ControlHeader.byteCount))
        switch kind {
        case .hello: self = .hello
        case .join:
            self = .join(
                name: try body.text("partition name", limit: ControlLimits.nameByteCount),
                vlans: try body.list("list of VLANs", limit: ControlLimits.vlansPerPartition) {
                    (reader) throws(ControlWireError) in try reader.vlan()
                })
        case .queryCommonCEC: self = .queryCommonCEC(try body.address())
        case .createSMB:
            // Any size can be asked for; the model says which are too large, with the largest that there is.
            self = .createSMB(ringByteCount: try body.count("SMB size", limit: .max), on: try body.address())
        case .bind: self = .bind(try body.token(OwnerToken.self), to: try body.address())
        case .accept:
            self = .accept(OfferToken(rawValue: try body.integer(UInt64.self)), from: try body.address())
        case .reject:
            self = .reject(OfferToken(rawValue: try body.integer(UInt64.self)), from: try body.address())
        case .unbindBuffer: self = .unbindBuffer(try body.token(BufferToken.self))
        case .unbindOwner: self = .unbindOwner(try body.token(OwnerToken.self))
        case .destroy: self = .destroy(try body.token(OwnerToken.self))
        case .report: self = .report(try ConnectionReport(decoding: &body))
        case .reportClosed: self = .reportClosed(try body.integer(UInt64.self))
        case .status: self = .status(firstItem: try body.count("item number", limit: Int(Int32.max)))
        case .reregister: self = .reregister(try Reregistration(decoding: &body))
        }
        try body.finish()
    }
}

extension ConnectionReport {
    func encode(into body: inout ControlWriter) {
        body.integer(self.identifier)
        body.optional(self.vlan) { $0.vlan($1) }
        body.text(self.path, limit: ControlLimits.pathByteCount)
        body.optional(self.reason) { $0.text($1, limit: ControlLimits.reasonByteCount) }
        body.text(self.local, limit: ControlLimits.socketAddressByteCount)
        body.text(self.remote, limit: ControlLimits.socketAddressByteCount)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.identifier = try body.integer(UInt64.self)
        self.vlan = try body.optional("VLAN") { (reader) throws(ControlWireError) in try reader.vlan() }
        self.path = try body.text("path", limit: ControlLimits.pathByteCount)
        self.reason = try body.optional("reason") { (reader) throws(ControlWireError) in
            try reader.text("reason", limit: ControlLimits.reasonByteCount)
        }
        self.local = try body.text("local address", limit: ControlLimits.socketAddressByteCount)
        self.remote = try body.text("remote address", limit: ControlLimits.socketAddressByteCount)
    }
}
