import SMCWire

/// A first byte of 0: the rest is the packet. Otherwise it is the message's type, and the rest its body, for a fuzzer
/// would take long to find magic and length.
private func controlPacket(_ bytes: [UInt8], type: UInt16) -> [UInt8] {
    guard let first = bytes.first, first != 0 else { return Array(bytes.dropFirst()) }
    let type = type | UInt16(first)
    let length = UInt32(ControlHeader.byteCount + bytes.count - 1)
    var packet =
        Array("SMCH".utf8) + [0, UInt8(ControlHeader.version), UInt8(type >> 8), UInt8(type & 0xff), 0, 0, 0, 9]
    packet += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
    return packet + bytes.dropFirst()
}

/// What is taken must be the same after being sent on, byte by byte.
func checkControlRequest(_ bytes: [UInt8]) -> String? {
    let bytes = controlPacket(bytes, type: 0)
    guard let header = try? ControlHeader(decoding: bytes),
        let request = try? ControlRequest(decoding: bytes, header: header)
    else { return nil }
    let again = request.encoded(requestID: header.requestID)
    // A request has one form only, or two implementations could read different things in it.
    return again == bytes ? nil : "\(request) is written as \(again)"
}

func checkControlResponse(_ bytes: [UInt8]) -> String? {
    let bytes = controlPacket(bytes, type: 0x8000)
    guard let header = try? ControlHeader(decoding: bytes),
        let response = try? ControlResponse(decoding: bytes, header: header)
    else { return nil }
    guard (0...ControlLimits.descriptorsPerAnswer).contains(response.descriptorCount) else {
        return "\(response) has \(response.descriptorCount) descriptors"
    }
    let again = response.encoded(requestID: header.requestID)
    return again == bytes ? nil : "\(response) is written as \(again)"
}

func checkPeerMessage(_ bytes: [UInt8]) -> String? {
    if CLCHeader.looksLikeCLC(bytes) {
        guard let message = try? CLCMessage(decoding: bytes) else { return nil }
        let again = try? CLCMessage(decoding: message.encoded())
        return again == message ? nil : "\(message) became \(String(describing: again))"
    }
    guard let frame = try? LinkFrame(decoding: bytes) else { return nil }
    let again = try? LinkFrame(decoding: frame.encoded())
    return again == frame ? nil : "\(frame) became \(String(describing: again))"
}
