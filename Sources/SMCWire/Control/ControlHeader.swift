/// The first bytes of every packet on the control socket.
///
/// Packets keep their boundaries (SOCK_SEQPACKET): one packet is one message. Its form stays as it is in all versions,
/// so that any two versions can at least tell each other that they do not match.
///
///     offset  size  field
///          0     4  magic, "SMCH"
///          4     2  version
///          6     2  message type; answers have the highest bit set
///          8     4  request identifier, chosen by the client, repeated in the answer
///         12     4  bytes of the whole packet
package struct ControlHeader: Hashable, Sendable {
    package static let byteCount = 16
    package static let magic: UInt32 = 0x534d_4348
    package static let version: UInt16 = 2

    package var type: UInt16
    package var requestID: UInt32

    init(type: UInt16, requestID: UInt32) {
        self.type = type
        self.requestID = requestID
    }

    /// Reads and checks everything but the body.
    package init(decoding packet: [UInt8]) throws(ControlWireError) {
        guard packet.count >= Self.byteCount else { throw .shorterThanHeader(byteCount: packet.count) }
        var reader = ControlReader(packet[..<Self.byteCount])
        let magic = try reader.integer(UInt32.self)
        guard magic == Self.magic else { throw .notControl(magic: magic) }
        let version = try reader.integer(UInt16.self)
        guard version == Self.version else { throw .unsupportedVersion(version) }
        self.type = try reader.integer(UInt16.self)
        self.requestID = try reader.integer(UInt32.self)
        let said = Int(try reader.integer(UInt32.self))
        guard said == packet.count else { throw .wrongLength(said: said, arrived: packet.count) }
    }

    /// The packet made of this header and a body.
    func packet(body: [UInt8]) -> [UInt8] {
        var writer = ControlWriter()
        writer.integer(Self.magic)
        writer.integer(Self.version)
        writer.integer(self.type)
        writer.integer(self.requestID)
        writer.integer(UInt32(Self.byteCount + body.count))
        return writer.bytes + body
    }
}
