/// Carries the keys of buffers for a new link, two at a time, in version 1 only (PROTOCOL 3.2, 3.4).
package struct AddLinkContinuation: Hashable, Sendable {
    /// The client's half of each exchange.
    package var isResponse: Bool
    package var linkNumber: UInt8
    /// How many keys the sender has still to send, those of this message included.
    package var remainingCount: UInt8
    /// The keys of this message: two, or ``remainingCount`` if that is less.
    package var rkeys: [NewLinkRKey]

    package static let rkeysPerMessage = 2

    package init(isResponse: Bool, linkNumber: UInt8, remainingCount: UInt8, rkeys: [NewLinkRKey]) {
        self.isResponse = isResponse
        self.linkNumber = linkNumber
        self.remainingCount = remainingCount
        self.rkeys = rkeys
    }

    init(_ header: LLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.isResponse = header.isResponse
        self.linkNumber = try reader.uint8()
        self.remainingCount = try reader.uint8()
        try reader.skip(2)
        self.rkeys = []
        for _ in 0..<min(Self.rkeysPerMessage, Int(self.remainingCount)) {
            self.rkeys.append(try NewLinkRKey(reading: &reader))
        }
    }

    package func encoded() -> [UInt8] {
        precondition(self.rkeys.count == min(Self.rkeysPerMessage, Int(self.remainingCount)), "keys do not add up")
        return LLCHeader(
            .addLinkContinuation, version: .one, lengthByteOrder: .big, isResponse: self.isResponse
        ).message { writer in
            writer.uint8(self.linkNumber)
            writer.uint8(self.remainingCount)
            writer.zeros(2)
            for rkey in self.rkeys {
                rkey.write(to: &writer)
            }
        }
    }
}
