import Foundation
import SMCControl
import SMCWire

/// The books for people: one table for each kind of thing, empty ones left out.
extension HypervisorStatus {
    var tables: String {
        let function = self.isFunctionEnabled ? "" : "\nThe shared memory function is switched off.\n"
        return "hypervisor: process \(self.processID), CEC \(self.cec)\n" + function + self.poolTable + self.vlanTable
            + self.partitionTable + self.usageTable + self.smbTable + self.connectionTable + self.definitionTable
    }

    var poolTable: String {
        table(
            "pools", ["name", "pages", "size", "blocks", "in use", "free", "coming back"],
            self.pools.map {
                let used = $0.blockCount - $0.freeCount - $0.reclaimingCount
                return [
                    $0.pool.name, "\($0.pages)", size($0.ringByteCount), "\($0.blockCount)", "\(used)",
                    "\($0.freeCount)", "\($0.reclaimingCount)",
                ]
            })
    }

    var vlanTable: String {
        table(
            "VLANs", ["name", "pool", "addresses", "in use", "limit", "per partition", "access", "shared memory"],
            self.vlans.map {
                let definition = $0.definition
                return [
                    $0.vlan.name, definition.pool.name, "\($0.partitionCount)", size($0.usedByteCount),
                    size($0.limitByteCount), definition.partitionLimitByteCount.map { size($0) } ?? "-",
                    "\(definition.access)", definition.isEnabled ? "on" : "off",
                ]
            })
    }

    var partitionTable: String {
        table(
            "partitions", ["name", "process", "user", "VLAN", "SM-GID"],
            self.partitions.flatMap { partition in
                partition.addresses.map {
                    [partition.name, "\(partition.processID)", "\(partition.userID)", $0.vlan.name, "\($0.smgid)"]
                }
            })
    }

    var usageTable: String {
        table(
            "memory", ["VLAN", "partition", "process", "in use", "limit"],
            self.usages.map {
                [
                    $0.vlan.name, $0.partition.isEmpty ? "(ended)" : $0.partition,
                    $0.processID.map { "\($0)" } ?? "all",
                    size($0.usedByteCount), $0.limitByteCount.map { size($0) } ?? "-",
                ]
            })
    }

    private var smbTable: String {
        table(
            "SMBs", ["VLAN", "owner", "peer", "size", "state"],
            self.smbs.map {
                [$0.vlan.name, self.name($0.owner), self.name($0.peer), size($0.ringByteCount), "\($0.state)"]
            })
    }

    private var connectionTable: String {
        table(
            "connections", ["partition", "local", "remote", "path", "VLAN", "why not faster"],
            self.connections.map {
                let report = $0.report
                return [
                    $0.partition, report.local, report.remote, report.path, report.vlan?.name ?? "-",
                    report.reason ?? "-",
                ]
            })
    }

    /// What administrators defined.
    var definitionTable: String {
        let names = table(
            "defined partitions", ["name", "users", "groups", "limit"],
            self.definitions.map {
                [
                    $0.name, numbers($0.userIDs), numbers($0.groupIDs), $0.limitByteCount.map { size($0) } ?? "-",
                ]
            })
        return names
            + table(
                "authorised", ["VLAN", "partition", "limit"],
                self.authorisations.map {
                    [$0.vlan.name, $0.partition, $0.limitByteCount.map { size($0) } ?? "-"]
                })
    }

    /// A partition's name with its process, which people know; the address says nothing to them.
    private func name(_ address: SMGID?) -> String {
        guard let address else { return "-" }
        let partition = self.partitions.first { $0.addresses.contains { $0.smgid == address } }
        return partition.map { "\($0.name) (\($0.processID))" } ?? "gone"
    }
}

/// The books for scripts. Keys stay as they are; new ones may come.
extension HypervisorStatus {
    var json: [String: Any] {
        [
            "processID": Int(self.processID), "cec": "\(self.cec)", "enabled": self.isFunctionEnabled,
            "pools": self.pools.map {
                [
                    "pool": $0.pool.name, "pages": "\($0.pages)", "ringByteCount": $0.ringByteCount,
                    "fileByteCount": $0.fileByteCount, "blocks": $0.blockCount,
                    "free": $0.freeCount, "reclaiming": $0.reclaimingCount,
                ] as [String: Any]
            },
            "vlans": self.vlans.map { Self.json($0) },
            "partitions": self.partitions.map {
                [
                    "name": $0.name, "processID": Int($0.processID), "userID": Int($0.userID),
                    "addresses": $0.addresses.map { ["vlan": $0.vlan.name, "smgid": "\($0.smgid)"] },
                ] as [String: Any]
            },
            "memory": self.usages.map {
                [
                    "vlan": $0.vlan.name, "partition": $0.partition, "processID": orNull($0.processID.map { Int($0) }),
                    "usedByteCount": $0.usedByteCount, "limitByteCount": orNull($0.limitByteCount),
                ] as [String: Any]
            },
            "smbs": self.smbs.map {
                [
                    "number": $0.number, "vlan": $0.vlan.name, "owner": orNull($0.owner.map { "\($0)" }),
                    "peer": orNull($0.peer.map { "\($0)" }), "ringByteCount": $0.ringByteCount,
                    "state": "\($0.state)", "tainted": $0.isTainted,
                ] as [String: Any]
            },
            "connections": self.connections.map {
                [
                    "partition": $0.partition, "identifier": $0.report.identifier,
                    "vlan": orNull($0.report.vlan?.name), "path": $0.report.path, "reason": orNull($0.report.reason),
                    "local": $0.report.local, "remote": $0.report.remote,
                ] as [String: Any]
            },
            "definitions": self.definitions.map {
                [
                    "name": $0.name, "users": $0.userIDs, "groups": $0.groupIDs,
                    "limitByteCount": orNull($0.limitByteCount),
                ] as [String: Any]
            },
            "authorisations": self.authorisations.map {
                [
                    "partition": $0.partition, "vlan": $0.vlan.name, "limitByteCount": orNull($0.limitByteCount),
                ] as [String: Any]
            },
        ]
    }

    private static func json(_ status: VLANStatus) -> [String: Any] {
        let definition = status.definition
        return [
            "name": status.vlan.name, "pool": definition.pool.name, "partitions": status.partitionCount,
            "usedByteCount": status.usedByteCount, "limitByteCount": status.limitByteCount,
            "sliceByteCount": orNull(definition.sliceByteCount),
            "partitionLimitByteCount": orNull(definition.partitionLimitByteCount),
            "access": "\(definition.access)", "enabled": definition.isEnabled,
        ]
    }
}

/// Shows a part of the books.
///
/// - Parameter keys: those of ``HypervisorStatus/json`` that belong to it.
func show(_ options: AdminOptions, _ part: KeyPath<HypervisorStatus, String>, _ keys: String...) throws {
    let status = try options.withSession { session throws(ControlError) in try session.status() }
    if options.json {
        try printJSON(status.json.filter { keys.contains($0.key) })
    } else {
        let text = status[keyPath: part].trimmingCharacters(in: .newlines)
        print(text.isEmpty ? "none" : text)
    }
}

func printJSON(_ object: [String: Any]) throws {
    let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .prettyPrinted])
    print(String(decoding: data, as: UTF8.self))
}

private func orNull(_ value: Any?) -> Any {
    value ?? NSNull()
}

private func numbers(_ list: [UInt32]) -> String {
    list.isEmpty ? "-" : list.map { "\($0)" }.joined(separator: ", ")
}

private func size(_ byteCount: Int) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where byteCount >= factor {
        let tenths = byteCount * 10 / factor
        return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    return "\(byteCount) B"
}

/// Columns as wide as their widest cell.
private func table(_ title: String, _ head: [String], _ rows: [[String]]) -> String {
    guard !rows.isEmpty else { return "" }
    let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
    let lines = ([head] + rows).map { row in
        let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
        return "  " + cells.joined(separator: "  ")
    }
    return "\n\(title)\n" + lines.joined(separator: "\n") + "\n"
}
