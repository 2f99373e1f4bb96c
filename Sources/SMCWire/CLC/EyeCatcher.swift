/// The four EBCDIC letters at both ends of every CLC message (PROTOCOL 2.1).
package enum EyeCatcher: UInt32, Hashable, Sendable {
    /// "SMCR": all messages but those that ``smcd`` has.
    case smcr = 0xe2d4_c3d9
    /// "SMCD": Accept and Confirm of a connection over internal shared memory.
    case smcd = 0xe2d4_c3c4

    package static let byteCount = 4

    init(reading reader: inout WireReader) throws(WireError) {
        let value = try reader.uint32()
        guard let eyeCatcher = EyeCatcher(rawValue: value) else { throw .badEyeCatcher(value) }
        self = eyeCatcher
    }
}
