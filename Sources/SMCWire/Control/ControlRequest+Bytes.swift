extension ControlRequest {
    private enum Kind: UInt16 {
        case hello = 1
        case join, queryCommonCEC, createSMB, bind, accept, reject, unbindBuffer, unbindOwner, destroy
        case report, reportClosed, status
        case establish, addresses, withdraw, renew, read, write, compareAndMove, signal, takeStatusBits, bindings
    }

    private var kind: UInt16 {
        if case .administer(let request) = self { return request.kind.rawValue }
        let kind: Kind =
            switch self {
            case .hello: .hello
            case .join: .join
            case .establish: .establish
            case .addresses: .addresses
            case .withdraw: .withdraw
            case .queryCommonCEC: .queryCommonCEC
            case .createSMB: .createSMB
            case .bind: .bind
            case .accept: .accept
            case .reject: .reject
            case .unbindBuffer: .unbindBuffer
            case .unbindOwner: .unbindOwner
            case .renew: .renew
            case .destroy: .destroy
            case .read: .read
            case .write: .write
            case .compareAndMove: .compareAndMove
            case .signal: .signal
            case .takeStatusBits: .takeStatusBits
            case .bindings: .bindings
            case .report: .report
            case .reportClosed: .reportClosed
            case .status: .status
            case .administer: preconditionFailure("answered above")
            }
        return kind.rawValue
    }

    /// The packet of this request.
    package func encoded(requestID: UInt32) -> [UInt8] {
        var body = ControlWriter()
        switch self {
        case .hello, .addresses: break
        case .join(let name, let vlans):
            body.text(name, limit: ControlLimits.nameByteCount)
            body.list(vlans, limit: ControlLimits.vlansPerPartition) { $0.vlan($1) }
        case .establish(let vlan): body.vlan(vlan)
        case .withdraw(let address, let isForced):
            body.address(address)
            body.flag(isForced)
        case .queryCommonCEC(let address): body.address(address)
        case .report(let report): report.encode(into: &body)
        case .reportClosed(let identifier): body.integer(identifier)
        case .status(let firstItem): body.count(firstItem)
        case .administer(let request): request.encode(into: &body)
        default: self.encodeBufferInstruction(into: &body)
        }
        return ControlHeader(type: self.kind, requestID: requestID).packet(body: body.bytes)
    }

    private func encodeBufferInstruction(into body: inout ControlWriter) {
        switch self {
        case .createSMB(let byteCount, let address, let isMapped):
            body.count(byteCount)
            body.address(address)
            body.flag(isMapped)
        case .bind(let token, let address):
            body.token(token)
            body.address(address)
        case .accept(let offer, let address, let isMapped):
            body.integer(offer.rawValue)
            body.address(address)
            body.flag(isMapped)
        case .reject(let offer, let address):
            body.integer(offer.rawValue)
            body.address(address)
        case .unbindBuffer(let token): body.token(token)
        case .unbindOwner(let token, let peer):
            body.token(token)
            body.optional(peer) { $0.address($1) }
        case .destroy(let token), .renew(let token), .bindings(let token): body.token(token)
        case .read(let access, let offset, let byteCount):
            body.access(access)
            body.count(offset)
            body.count(byteCount)
        case .write(let access, let offset, let bytes):
            body.access(access)
            body.count(offset)
            body.blob(bytes, limit: ControlLimits.moveByteCount)
        case .compareAndMove(let access, let offset, let expected, let desired):
            body.access(access)
            body.count(offset)
            body.integer(expected)
            body.integer(desired)
        case .signal(let token): body.token(token)
        case .takeStatusBits(let pair): body.integer(pair)
        default: preconditionFailure("not an instruction on SMBs")
        }
    }

    /// Reads a packet whose header was read already.
    package init(decoding packet: [UInt8], header: ControlHeader) throws(ControlWireError) {
        var body = ControlReader(packet.dropFirst(ControlHeader.byteCount))
        if let kind = AdministrativeRequest.Kind(rawValue: header.type) {
            self = .administer(try AdministrativeRequest(decoding: &body, kind))
        } else if let kind = Kind(rawValue: header.type) {
            self = try Self.decode(&body, kind)
        } else {
            throw .unknownType(header.type)
        }
        try body.finish()
    }

    private static func decode(_ body: inout ControlReader, _ kind: Kind) throws(ControlWireError) -> ControlRequest {
        switch kind {
        case .hello: .hello
        case .join:
            .join(
                name: try body.text("partition name", limit: ControlLimits.nameByteCount),
                vlans: try body.list("list of VLANs", limit: ControlLimits.vlansPerPartition) {
                    (reader) throws(ControlWireError) in try reader.vlan()
                })
        case .establish: .establish(try body.vlan())
        case .addresses: .addresses
        case .withdraw: .withdraw(try body.address(), isForced: try body.flag("force flag"))
        case .queryCommonCEC: .queryCommonCEC(try body.address())
        case .report: .report(try ConnectionReport(decoding: &body))
        case .reportClosed: .reportClosed(try body.integer(UInt64.self))
        case .status: .status(firstItem: try body.count("item number", limit: Int(Int32.max)))
        default: try Self.decodeBufferInstruction(&body, kind)
        }
    }

    private static func decodeBufferInstruction(
        _ body: inout ControlReader, _ kind: Kind
    ) throws(ControlWireError) -> ControlRequest {
        switch kind {
        case .createSMB:
            // Any size can be asked for; the model says which are too large, with the largest that there is.
            .createSMB(
                ringByteCount: try body.count("SMB size", limit: .max), on: try body.address(),
                isMapped: try body.flag("mapping flag"))
        case .bind: .bind(try body.token(OwnerToken.self), to: try body.address())
        case .accept:
            .accept(
                OfferToken(rawValue: try body.integer(UInt64.self)), from: try body.address(),
                isMapped: try body.flag("mapping flag"))
        case .reject:
            .reject(OfferToken(rawValue: try body.integer(UInt64.self)), from: try body.address())
        case .unbindBuffer: .unbindBuffer(try body.token(BufferToken.self))
        case .unbindOwner:
            .unbindOwner(
                try body.token(OwnerToken.self),
                from: try body.optional("peer") { (reader) throws(ControlWireError) in try reader.address() })
        case .renew: .renew(try body.token(OwnerToken.self))
        case .destroy: .destroy(try body.token(OwnerToken.self))
        case .read:
            .read(
                try body.access(), offset: try body.count("offset", limit: .max),
                byteCount: try body.count("byte count", limit: .max))
        case .write:
            .write(
                try body.access(), offset: try body.count("offset", limit: .max),
                bytes: try body.blob("bytes", limit: ControlLimits.moveByteCount))
        case .compareAndMove:
            .compareAndMove(
                try body.access(), offset: try body.count("offset", limit: .max),
                expected: try body.integer(UInt64.self), desired: try body.integer(UInt64.self))
        case .signal: .signal(try body.token(SignalToken.self))
        case .bindings: .bindings(try body.token(OwnerToken.self))
        case .takeStatusBits: .takeStatusBits(pair: try body.integer(UInt64.self))
        default: throw .unknownType(kind.rawValue)
        }
    }
}
