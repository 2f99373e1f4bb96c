/// The server's choice and its end of the connection (PROTOCOL 2.4, 2.5).
package struct Accept: Hashable, Sendable {
    package var version: ProtocolVersion
    /// Whether the server starts a new link group; otherwise an existing one is used.
    package var isFirstContact: Bool
    package var body: CLCBody
    /// The EID that both know. There in version 2 only.
    package var negotiatedEID: EID?
    /// There exactly for a first contact in version 2.
    package var firstContactExtension: FirstContactExtension?

    /// A version 2 message: a first contact if it has the extension.
    package init(body: CLCBody, negotiatedEID: EID, firstContactExtension: FirstContactExtension?) {
        self.version = .two
        self.isFirstContact = firstContactExtension != nil
        self.body = body
        self.negotiatedEID = negotiatedEID
        self.firstContactExtension = firstContactExtension
    }

    /// A version 1 message.
    package init(version1 body: CLCBody, isFirstContact: Bool) {
        self.version = .one
        self.isFirstContact = isFirstContact
        self.body = body
    }

    init(_ header: CLCHeader, reading reader: inout WireReader) throws(WireError) {
        let description = try EndpointDescription(header, reading: &reader)
        self.version = header.version
        self.isFirstContact = description.isFirstContact
        self.body = description.body
        self.negotiatedEID = description.negotiatedEID
        self.firstContactExtension = description.firstContactExtension
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        EndpointDescription(
            body: self.body, isFirstContact: self.isFirstContact, negotiatedEID: self.negotiatedEID,
            firstContactExtension: self.firstContactExtension
        ).encoded(.accept, version: self.version, tail: [])
    }
}
