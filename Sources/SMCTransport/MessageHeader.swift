/// What stands in front of a message in the stream: 8 bytes, then padding, then the message. Least significant byte
/// first.
///
///     offset  size  field
///          0     4  bytes of the message
///          4     1  bytes of padding between this header and the message, below 64
///          5     3  "SM", 1
package struct MessageHeader: Hashable, Sendable {
    package static let byteCount = 8
    /// Messages from this size on begin at a cache line.
    package static let alignedByteCount = 1024
    package static let alignment = 64
    private static let mark: UInt64 = 0x014d_53

    package var messageByteCount: Int
    package var paddingByteCount: Int

    /// - Parameter position: where in the stream the header begins.
    package init(messageByteCount: Int, at position: UInt64) {
        self.messageByteCount = messageByteCount
        let end = Int(truncatingIfNeeded: position & UInt64(Self.alignment - 1)) + Self.byteCount
        self.paddingByteCount = messageByteCount >= Self.alignedByteCount ? -end & (Self.alignment - 1) : 0
    }

    /// Reads a header.
    ///
    /// - Returns: nil when it is none.
    package init?(_ raw: UInt64) {
        let raw = UInt64(littleEndian: raw)
        guard raw >> 40 == Self.mark else { return nil }
        self.messageByteCount = Int(raw & 0xffff_ffff)
        self.paddingByteCount = Int(raw >> 32 & 0xff)
        guard self.paddingByteCount < Self.alignment else { return nil }
    }

    /// The header's bytes.
    package var raw: UInt64 {
        (Self.mark << 40 | UInt64(self.paddingByteCount) << 32 | UInt64(self.messageByteCount)).littleEndian
    }

    /// Bytes of header, padding and message.
    package var frameByteCount: Int { Self.byteCount + self.paddingByteCount + self.messageByteCount }
}

/// A message too long to lie in the ring in one piece, as far as it has come.
struct PartialMessage: Sendable {
    var bytes: [UInt8]
    /// Padding that has not come.
    var skip: Int
    var count = 0
}
