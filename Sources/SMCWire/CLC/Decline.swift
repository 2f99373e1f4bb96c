/// Either side gives up on SMC; the TCP connection carries the data from the next byte on (PROTOCOL 2.7).
package struct Decline: Hashable, Sendable {
    /// The version of the negotiation that ends.
    package var version: ProtocolVersion
    /// Tells the peer to end the link group as well: the two sides do not agree on it. Goes with
    /// ``DeclineDiagnosis/synchronizationError``.
    package var isOutOfSync: Bool
    /// The sender; zero if it has none.
    package var peerID: PeerID
    package var diagnosis: DeclineDiagnosis
    /// The sender's system; Linux sends 0 in version 1.
    package var operatingSystem: OperatingSystem
    /// Up to four more codes, in version 2 only. Zeros at the end are not kept.
    package var furtherDiagnoses: [DeclineDiagnosis]

    package static let furtherDiagnosisCountMax = 4

    package init(
        version: ProtocolVersion, isOutOfSync: Bool = false, peerID: PeerID, diagnosis: DeclineDiagnosis,
        operatingSystem: OperatingSystem = .unknown, furtherDiagnoses: [DeclineDiagnosis] = []
    ) {
        self.version = version
        self.isOutOfSync = isOutOfSync
        self.peerID = peerID
        self.diagnosis = diagnosis
        self.operatingSystem = operatingSystem
        self.furtherDiagnoses = furtherDiagnoses
    }

    private static let outOfSyncBit: UInt8 = 0x08

    init(_ header: CLCHeader, reading reader: inout WireReader) throws(WireError) {
        self.version = header.version
        self.isOutOfSync = header.lowNibble & Self.outOfSyncBit != 0
        self.peerID = PeerID(rawValue: try reader.uint64())
        self.diagnosis = DeclineDiagnosis(rawValue: try reader.uint32())
        self.operatingSystem = OperatingSystem(rawValue: try reader.uint8() >> 4)
        try reader.skip(3)
        self.furtherDiagnoses = []
        if header.version == .two {
            for _ in 0..<Self.furtherDiagnosisCountMax {
                self.furtherDiagnoses.append(DeclineDiagnosis(rawValue: try reader.uint32()))
            }
            while self.furtherDiagnoses.last?.rawValue == 0 { self.furtherDiagnoses.removeLast() }
        }
    }

    /// The bytes to send.
    package func encoded() -> [UInt8] {
        precondition(
            self.furtherDiagnoses.count <= (self.version == .two ? Self.furtherDiagnosisCountMax : 0),
            "too many further codes")
        var writer = WireWriter()
        writer.uint64(self.peerID.rawValue)
        writer.uint32(self.diagnosis.rawValue)
        writer.uint8(self.operatingSystem.rawValue << 4)
        writer.zeros(3)
        if self.version == .two {
            for code in self.furtherDiagnoses {
                writer.uint32(code.rawValue)
            }
            writer.zeros(4 * (Self.furtherDiagnosisCountMax - self.furtherDiagnoses.count))
        }
        return CLCHeader.message(
            .decline, version: self.version, lowNibble: self.isOutOfSync ? Self.outOfSyncBit : 0, body: writer.bytes)
    }
}
