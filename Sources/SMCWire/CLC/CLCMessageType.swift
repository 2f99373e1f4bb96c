/// The kinds of CLC message (PROTOCOL 2.1).
package enum CLCMessageType: UInt8, Hashable, Sendable, CaseIterable {
    /// The client says what it can do.
    case proposal = 1
    /// The server chooses and describes its end.
    case accept = 2
    /// The client describes its end.
    case confirm = 3
    /// Either side gives up; the TCP connection carries the data.
    case decline = 4
}
