/// The client's end of the connection, in answer to an Accept that it agrees with (PROTOCOL 2.4, 2.5, 2.6).
package struct Confirm: Hashable, Sendable {
    package var version: ProtocolVersion
    /// As in the Accept.
    package var isFirstContact: Bool
    package var body: CLCBody
    /// As in the Accept. There in version 2 only.
    package var negotiatedEID: EID?
    /// There exactly for a first contact in version 2.
    package var firstContactExtension: FirstContactExtension?
    /// The RoCEv2 GIDs the client could use for links, that of this link first; at most 255.
    ///
    /// On the wire only for a first contact over RDMA in version 2; empty otherwise.
    package var gids: [GID]

    /// A version 2 message: a first contact if it has the extension.
    package init(
        body: CLCBody, negotiatedEID: EID, firstContactExtension: FirstContactExtension?, gids: [GID] = []
    ) {
        self.version = .two
        self.isFirstContact = firstContactExtension != nil
        self.body = body
        self.negotiatedEID = negotiatedEID
        self.firstContactExtension = firstContactExtension
        self.gids = gids
    }

    /// A version 1 message.
    package init(version1 body: CLCBody, isFirstContact: Bool) {
        self.version = .one
        self.isFirstContact = isFirstContact
        self.body = body
        self.gids = []
    }

    /// The length of a first-contact Confirm over RDMA.
    static func lengthWithGIDList(of count: Int) -> Int { 164 + 16 * count }

    private var hasGIDList: Bool { self.firstContactExtension != nil && self.body.carrier == .rdma }

    init(_ header: CLCHeader, reading reader: inout WireReader) throws(WireError) {
        let description = try EndpointDescription(header, reading: &reader)
        self.version = header.version
        self.isFirstContact = description.isFirstContact
        self.body = description.body
        self.negotiatedEID = description.negotiatedEID
        self.firstContactExtension = description.firstContactExtension
        self.gids = []
        if self.hasGIDList {
            let count = try reader.uint8()
            try reader.skip(3)
            for _ in 0..<count {
                self.gids.append(GID(rawValue: try reader.uint128()))
            }
        }
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        precondition(self.gids.isEmpty || self.hasGIDList, "GIDs go with a first contact over RDMA in version 2")
        precondition(self.gids.count <= 255, "too many GIDs")
        var tail = WireWriter()
        if self.hasGIDList {
            tail.uint8(UInt8(self.gids.count))
            tail.zeros(3)
            for gid in self.gids {
                tail.uint128(gid.rawValue)
            }
        }
        return EndpointDescription(
            body: self.body, isFirstContact: self.isFirstContact, negotiatedEID: self.negotiatedEID,
            firstContactExtension: self.firstContactExtension
        ).encoded(.confirm, version: self.version, tail: tail.bytes)
    }
}
