/// Withdraws receive buffers on all links by their keys on the link that carries the message (PROTOCOL 3.2, 3.3).
package struct DeleteRKey: Hashable, Sendable {
    package var version: ProtocolVersion
    package var lengthByteOrder: ByteOrder
    package var isResponse: Bool
    /// At least one key was not known to the receiver.
    package var isNegative: Bool
    /// In a response which keys were not known. Version 1: the bit 0x80 >> i stands for the key i.
    /// Version 2: how many.
    package var failures: UInt8
    /// The keys: at most eight in version 1, 255 in version 2. A response of Linux in version 2 repeats the count but
    /// not the keys; they read as 0.
    package var rkeys: [UInt32]

    /// The keys that one version 1 message can name.
    package static let rkeysPerMessageV1 = 8

    package init(
        version: ProtocolVersion = .two, lengthByteOrder: ByteOrder = .big, isResponse: Bool = false,
        isNegative: Bool = false, failures: UInt8 = 0, rkeys: [UInt32]
    ) {
        self.version = version
        self.lengthByteOrder = lengthByteOrder
        self.isResponse = isResponse
        self.isNegative = isNegative
        self.failures = failures
        self.rkeys = rkeys
    }

    private static let negativeBit: UInt8 = 0x20

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.lengthByteOrder = header.lengthByteOrder
        self.isResponse = header.isResponse
        self.isNegative = header.has(Self.negativeBit)
        let count = Int(try reader.uint8())
        guard header.version == .two || count <= Self.rkeysPerMessageV1 else {
            throw .badValue(field: "rkey count", value: UInt64(count))
        }
        self.failures = try reader.uint8()
        try reader.skip(2)
        self.rkeys = []
        // Linux answers with 44 bytes whatever the count is; all but the count and the failures is zero then.
        let isShortResponse =
            header.version == .two && header.isResponse && reader.remaining == LLCHeader.byteCount - reader.offset
        for _ in 0..<count {
            let isMissing = isShortResponse && reader.remaining < 4
            self.rkeys.append(isMissing ? 0 : try reader.uint32())
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.rkeys.count <= (self.version == .one ? Self.rkeysPerMessageV1 : 255), "too many keys")
        return LLCHeader(
            .deleteRKey, version: self.version, lengthByteOrder: self.lengthByteOrder, isResponse: self.isResponse,
            flags: self.isNegative ? Self.negativeBit : 0
        ).message { writer in
            writer.uint8(UInt8(self.rkeys.count))
            writer.uint8(self.failures)
            writer.zeros(2)
            for rkey in self.rkeys {
                writer.uint32(rkey)
            }
        }
    }
}
