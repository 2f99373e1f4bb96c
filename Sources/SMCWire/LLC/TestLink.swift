/// Asks whether a link still works; the answer repeats the data (PROTOCOL 3.2, 3.3).
package struct TestLink: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    /// Sixteen bytes of the asker's choice, the first one in the highest place.
    package var userData: UInt128

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool = false,
        userData: UInt128
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.userData = userData
    }

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.userData = try reader.uint128()
    }

    package func encoded() -> [UInt8] {
        LLCHeader(
            .testLink, version: self.version, lengthByteOrder: self.lengthByteOrder, isResponse: self.isResponse
        ).message { writer in
            writer.uint128(self.userData)
        }
    }
}
