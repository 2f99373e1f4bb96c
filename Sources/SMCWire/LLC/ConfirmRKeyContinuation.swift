/// The links that found no place in a ``ConfirmRKey``, three at a time, in version 1 only (PROTOCOL 3.2).
package struct ConfirmRKeyContinuation: Hashable, Sendable {
    package var isResponse: Bool
    /// The receiver could not take the keys.
    package var isNegative: Bool
    /// The receiver may be asked again.
    package var mayRetry: Bool
    /// How many links are still to be sent, those of this message included.
    package var remainingCount: UInt8
    /// The links of this message: three, or ``remainingCount`` if that is less.
    package var links: [LinkRKey]

    package static let linksPerMessage = 3

    package init(
        isResponse: Bool = false, isNegative: Bool = false, mayRetry: Bool = false, remainingCount: UInt8,
        links: [LinkRKey]
    ) {
        self.isResponse = isResponse
        self.isNegative = isNegative
        self.mayRetry = mayRetry
        self.remainingCount = remainingCount
        self.links = links
    }

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.isResponse = header.isResponse
        self.isNegative = header.has(ConfirmRKey.negativeBit)
        self.mayRetry = header.has(ConfirmRKey.retryBit)
        self.remainingCount = try reader.uint8()
        guard self.remainingCount <= ConfirmRKey.otherLinkCountMax else {
            throw .badValue(field: "number of other links", value: UInt64(self.remainingCount))
        }
        self.links = []
        for _ in 0..<min(Self.linksPerMessage, Int(self.remainingCount)) {
            self.links.append(try LinkRKey(reading: &reader))
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.remainingCount <= ConfirmRKey.otherLinkCountMax)
        precondition(self.links.count == min(Self.linksPerMessage, Int(self.remainingCount)))
        return LLCHeader(
            .confirmRKeyContinuation, version: .one, lengthByteOrder: .big, isResponse: self.isResponse,
            flags: (self.isNegative ? ConfirmRKey.negativeBit : 0) | (self.mayRetry ? ConfirmRKey.retryBit : 0)
        ).message { writer in
            writer.uint8(self.remainingCount)
            for link in self.links {
                link.write(to: &writer)
            }
        }
    }
}
