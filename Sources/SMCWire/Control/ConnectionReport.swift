/// One connection as its partition describes it. The hypervisor shows it and decides nothing by it.
package struct ConnectionReport: Hashable, Sendable {
    /// Chosen by the partition; a second report with the same number replaces the first.
    package var identifier: UInt64
    package var vlan: VLANID?
    /// What it runs on, for people: `shared memory`, `rdma`, `tcp`.
    package var path: String
    /// Why it does not run on anything faster.
    package var reason: String?
    /// The socket addresses of its TCP connection.
    package var local: String
    package var remote: String

    package init(
        identifier: UInt64, vlan: VLANID? = nil, path: String, reason: String? = nil, local: String, remote: String
    ) {
        self.identifier = identifier
        self.vlan = vlan
        self.path = path
        self.reason = reason
        self.local = local
        self.remote = remote
    }
}

extension ConnectionReport {
    func encode(into body: inout ControlWriter) {
        body.integer(self.identifier)
        body.optional(self.vlan) { $0.vlan($1) }
        body.text(self.path, limit: ControlLimits.pathByteCount)
        body.optional(self.reason) { $0.text($1, limit: ControlLimits.reasonByteCount) }
        body.text(self.local, limit: ControlLimits.socketAddressByteCount)
        body.text(self.remote, limit: ControlLimits.socketAddressByteCount)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.identifier = try body.integer(UInt64.self)
        self.vlan = try body.optional("VLAN") { (reader) throws(ControlWireError) in try reader.vlan() }
        self.path = try body.text("path", limit: ControlLimits.pathByteCount)
        self.reason = try body.optional("reason") { (reader) throws(ControlWireError) in
            try reader.text("reason", limit: ControlLimits.reasonByteCount)
        }
        self.local = try body.text("local address", limit: ControlLimits.socketAddressByteCount)
        self.remote = try body.text("remote address", limit: ControlLimits.socketAddressByteCount)
    }
}
