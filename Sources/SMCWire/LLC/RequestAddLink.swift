/// A client's wish for a further link, in version 2 only; the server starts an Add Link or refuses (PROTOCOL 3.2, 3.3).
package struct RequestAddLink: Hashable, Sendable {
    package var lengthByteOrder: ByteOrder
    /// The server's refusal.
    package var isRefusal: Bool
    /// The client's GIDs; none in a refusal.
    package var gids: [GID]

    package init(lengthByteOrder: ByteOrder = .big, isRefusal: Bool = false, gids: [GID]) {
        self.lengthByteOrder = lengthByteOrder
        self.isRefusal = isRefusal
        self.gids = gids
    }

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.lengthByteOrder = header.lengthByteOrder
        self.isRefusal = header.isResponse
        try reader.skip(20)
        let count = try reader.uint8()
        try reader.skip(3)
        self.gids = []
        for _ in 0..<count {
            self.gids.append(GID(rawValue: try reader.uint128()))
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.gids.count <= 255, "too many GIDs")
        return LLCHeader(
            .requestAddLink, version: .two, lengthByteOrder: self.lengthByteOrder, isResponse: self.isRefusal
        ).message { writer in
            writer.zeros(20)
            writer.uint8(UInt8(self.gids.count))
            writer.zeros(3)
            for gid in self.gids {
                writer.uint128(gid.rawValue)
            }
        }
    }
}
