/// Tells the peer of one SMC-R connection how far sender and receiver have come (PROTOCOL 4.1); one RDMA SEND.
///
/// Version 1 and 2 have the same form.
package struct CDCMessage: Hashable, Sendable {
    /// Counts the messages of one connection and direction, from 1, modulo 2^16.
    package var sequence: UInt16
    /// The connection, by the number its receiver chose in Accept or Confirm.
    package var alertToken: UInt32
    /// Where the sender will write next in the receiver's buffer.
    package var producerCursor: WireCursor
    /// Where the sender will read next in its own buffer.
    package var consumerCursor: WireCursor
    package var producerFlags: ProducerFlags
    package var stateFlags: ConnectionStateFlags

    package static let byteCount = 44
    /// The first byte, which tells CDC from LLC.
    package static let firstByte: UInt8 = 0xfe

    package init(
        sequence: UInt16, alertToken: UInt32, producerCursor: WireCursor, consumerCursor: WireCursor,
        producerFlags: ProducerFlags = [], stateFlags: ConnectionStateFlags = []
    ) {
        self.sequence = sequence
        self.alertToken = alertToken
        self.producerCursor = producerCursor
        self.consumerCursor = consumerCursor
        self.producerFlags = producerFlags
        self.stateFlags = stateFlags
    }

    /// From exactly ``byteCount`` bytes. Reserved fields are ignored.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes)
        let firstByte = try reader.uint8()
        guard firstByte == Self.firstByte else { throw .unknownType(firstByte) }
        let length = try reader.uint8()
        guard length == Self.byteCount else { throw .wrongLength(Int(length), expected: Self.byteCount) }
        self.sequence = try reader.uint16()
        self.alertToken = try reader.uint32()
        self.producerCursor = try Self.readCursor(&reader)
        self.consumerCursor = try Self.readCursor(&reader)
        self.producerFlags = ProducerFlags(rawValue: try reader.uint8())
        self.stateFlags = ConnectionStateFlags(rawValue: try reader.uint8())
        try reader.skip(18)
        try reader.expectEnd()
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        var writer = WireWriter(reserving: Self.byteCount)
        writer.uint8(Self.firstByte)
        writer.uint8(UInt8(Self.byteCount))
        writer.uint16(self.sequence)
        writer.uint32(self.alertToken)
        Self.write(self.producerCursor, to: &writer)
        Self.write(self.consumerCursor, to: &writer)
        writer.uint8(self.producerFlags.rawValue)
        writer.uint8(self.stateFlags.rawValue)
        writer.zeros(18)
        return writer.bytes
    }

    private static func readCursor(_ reader: inout WireReader) throws(WireError) -> WireCursor {
        try reader.skip(2)
        return WireCursor(wrap: try reader.uint16(), offset: try reader.uint32())
    }

    private static func write(_ cursor: WireCursor, to writer: inout WireWriter) {
        writer.zeros(2)
        writer.uint16(cursor.wrap)
        writer.uint32(cursor.offset)
    }
}
