/// One end of a connection, over the carrier that the server chose.
package enum CLCBody: Hashable, Sendable {
    case rdma(RDMAEndpoint)
    case dmb(DMBEndpoint)

    var carrier: FirstContactExtension.Carrier {
        switch self {
        case .rdma: .rdma
        case .dmb: .dmb
        }
    }
}

/// What Accept and Confirm have in common, which is all but the list of GIDs (PROTOCOL 2.4, 2.5).
struct EndpointDescription {
    var body: CLCBody
    var isFirstContact: Bool
    var negotiatedEID: EID?
    var firstContactExtension: FirstContactExtension?

    private static let firstContactBit: UInt8 = 0x08

    init(
        body: CLCBody, isFirstContact: Bool, negotiatedEID: EID?, firstContactExtension: FirstContactExtension?
    ) {
        self.body = body
        self.isFirstContact = isFirstContact
        self.negotiatedEID = negotiatedEID
        self.firstContactExtension = firstContactExtension
    }

    init(_ header: CLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.isFirstContact = header.lowNibble & Self.firstContactBit != 0
        switch header.lowNibble & 0x03 {
        case 0:
            self.body = .rdma(try RDMAEndpoint(reading: &reader))
            if header.version == .two {
                self.negotiatedEID = try EID(reading: &reader)
                try reader.skip(8)
            }
        case 1:
            var endpoint = try DMBEndpoint(reading: &reader)
            if header.version == .two {
                self.negotiatedEID = try endpoint.readV2Part(&reader)
            } else {
                try reader.skip(12)
            }
            self.body = .dmb(endpoint)
        default:
            throw .badValue(field: "mode", value: UInt64(header.lowNibble & 0x03))
        }
        if header.version == .two && self.isFirstContact {
            self.firstContactExtension = try FirstContactExtension(self.body.carrier, reading: &reader)
        }
    }

    /// - Parameter tail: what follows the common part.
    func encoded(_ type: CLCMessageType, version: ProtocolVersion, tail: [UInt8]) -> [UInt8] {
        precondition((self.negotiatedEID != nil) == (version == .two), "the EID goes with version 2")
        precondition(
            (self.firstContactExtension != nil) == (version == .two && self.isFirstContact),
            "the first-contact extension goes with a first contact in version 2")
        var writer = WireWriter(reserving: 160)
        let mode: UInt8
        switch self.body {
        case .rdma(let endpoint):
            mode = 0
            endpoint.write(to: &writer)
            if let negotiatedEID {
                writer.bytes(negotiatedEID.bytes)
                writer.zeros(8)
            }
        case .dmb(let endpoint):
            mode = 1
            endpoint.write(negotiatedEID: self.negotiatedEID, to: &writer)
        }
        self.firstContactExtension?.write(self.body.carrier, to: &writer)
        writer.bytes(tail)
        return CLCHeader.message(
            type, version: version, lowNibble: mode | (self.isFirstContact ? Self.firstContactBit : 0),
            eyeCatcher: mode == 1 ? .smcd : .smcr, body: writer.bytes)
    }
}
