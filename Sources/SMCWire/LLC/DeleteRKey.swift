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
    /// not the keys; they read as 0, and a response of zeros is sent in that short form.
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
    /// What a message of 44 bytes has for keys in version 2.
    private static let keyByteCountMin = LLCHeader.byteCount - 8

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
        // Linux answers with 44 bytes whatever the count is.
        if header.version == .two && header.isResponse && reader.remaining == Self.keyByteCountMin
            && count > Self.keyByteCountMin / 4
        {
            self.rkeys = Array(repeating: 0, count: count)
            return
        }
        self.rkeys = []
        for _ in 0..<count {
            self.rkeys.append(try reader.uint32())
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
            if self.isResponse && self.rkeys.allSatisfy({ $0 == 0 }) { return }
            for rkey in self.rkeys {
                writer.uint32(rkey)
            }
        }
    }
}
