internal import SMCWire

extension AuditRecord {
    /// The record as a line of the audit log.
    package func line(time: String) -> JSONLine {
        var line = JSONLine()
        line.add("time", time)
        line.add("event", self.action.rawValue)
        line.add("result", self.refusal?.name ?? "granted")
        line.add("session", self.caller.rawValue)
        line.add("pid", self.identity.processID)
        line.add("uid", self.identity.userID)
        if !self.partition.isEmpty { line.add("partition", self.partition) }
        line.add("vlan", self.object.vlan?.name)
        line.add("address", self.object.address.map { "\($0)" })
        line.add("peer", self.object.peer.map { "\($0)" })
        if let number = self.object.smb { line.add("smb", number) }
        line.add("name", self.object.partition)
        line.add("pool", self.object.pool?.name)
        if let count = self.object.byteCount { line.add("bytes", count) }
        if let isEnabled = self.object.isEnabled { line.add("enabled", isEnabled) }
        if self.isConsequence { line.add("consequence", true) }
        if !self.text.isEmpty { line.add("text", self.text) }
        return line
    }
}
