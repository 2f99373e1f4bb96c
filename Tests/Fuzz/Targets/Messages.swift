import SMCWire

/// What is taken must be the same after being sent on, and take no more bytes than came.
func checkControlRequest(_ bytes: [UInt8]) -> String? {
    guard let header = try? ControlHeader(decoding: bytes),
        let request = try? ControlRequest(decoding: bytes, header: header)
    else { return nil }
    let again = request.encoded(requestID: header.requestID)
    // A request has one form only, or two implementations could read different things in it.
    return again == bytes ? nil : "\(request) is written as \(again)"
}

func checkControlResponse(_ bytes: [UInt8]) -> String? {
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
