import ArgumentParser
import Foundation
import SMCControl
import SMCWire

/// `smc status`: the hypervisor's books for people and for scripts.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show who shares memory with whom, and what every connection runs on.",
        discussion: """
            Asks the system's hypervisor, else your own. It starts none: when nobody uses shared memory there is \
            nothing to show.

            Exit codes: 0 shown, 6 there is no hypervisor.
            """)

    /// There is no hypervisor to ask.
    static let noHypervisor = ExitCode(6)

    @Option(help: "Ask the hypervisor that listens there.")
    var socket: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let status: HypervisorStatus
        do throws(ControlError) {
            var automatic = HypervisorLocator.Automatic()
            automatic.startsHypervisor = false
            let locator = socket.map { HypervisorLocator.socket($0) } ?? .automatic(automatic)
            status = try locator.connect().status()
        } catch {
            FileHandle.standardError.write(Data("smc status: \(error)\n".utf8))
            if case .unavailable = error { throw Self.noHypervisor }
            throw ExitCode.failure
        }
        if json {
            let data = try JSONSerialization.data(withJSONObject: status.json, options: [.sortedKeys, .prettyPrinted])
            print(String(decoding: data, as: UTF8.self))
        } else {
            print(status.tables)
        }
    }
}

extension HypervisorStatus {
    /// For people: one table for each kind of thing, empty ones left out.
    var tables: String {
        var text = "hypervisor: process \(self.processID), CEC \(self.cec)\n"
        text += table(
            "pool", ["size", "blocks", "in use", "free", "coming back"],
            self.pools.map {
                let used = $0.blockCount - $0.freeCount - $0.reclaimingCount
                return [
                    size($0.ringByteCount), "\($0.blockCount)", "\(used)", "\($0.freeCount)", "\($0.reclaimingCount)",
                ]
            })
        text += table(
            "VLANs", ["name", "partitions", "in use", "limit"],
            self.vlans.map { [$0.vlan.name, "\($0.partitionCount)", size($0.usedByteCount), size($0.limitByteCount)] })
        text += table(
            "partitions", ["name", "process", "user", "VLAN", "SM-GID"],
            self.partitions.flatMap { partition in
                partition.addresses.map {
                    [partition.name, "\(partition.processID)", "\(partition.userID)", $0.vlan.name, "\($0.smgid)"]
                }
            })
        text += table(
            "SMBs", ["VLAN", "owner", "peer", "size", "state"],
            self.smbs.map {
                [$0.vlan.name, self.name($0.owner), self.name($0.peer), size($0.ringByteCount), "\($0.state)"]
            })
        text += table(
            "connections", ["partition", "local", "remote", "path", "VLAN", "why not faster"],
            self.connections.map {
                let report = $0.report
                return [
                    $0.partition, report.local, report.remote, report.path, report.vlan?.name ?? "-",
                    report.reason ?? "-",
                ]
            })
        return text
    }

    /// A partition's name with its process, which people know; the address says nothing to them.
    private func name(_ address: SMGID?) -> String {
        guard let address else { return "-" }
        let partition = self.partitions.first { $0.addresses.contains { $0.smgid == address } }
        return partition.map { "\($0.name) (\($0.processID))" } ?? "gone"
    }

    /// For scripts. Keys stay as they are; new ones may come.
    var json: [String: Any] {
        [
            "processID": Int(self.processID), "cec": "\(self.cec)",
            "pools": self.pools.map {
                [
                    "ringByteCount": $0.ringByteCount, "blocks": $0.blockCount, "free": $0.freeCount,
                    "reclaiming": $0.reclaimingCount,
                ]
            },
            "vlans": self.vlans.map {
                [
                    "name": $0.vlan.name, "partitions": $0.partitionCount, "usedByteCount": $0.usedByteCount,
                    "limitByteCount": $0.limitByteCount,
                ] as [String: Any]
            },
            "partitions": self.partitions.map {
                [
                    "name": $0.name, "processID": Int($0.processID), "userID": Int($0.userID),
                    "addresses": $0.addresses.map { ["vlan": $0.vlan.name, "smgid": "\($0.smgid)"] },
                ] as [String: Any]
            },
            "smbs": self.smbs.map {
                [
                    "number": $0.number, "vlan": $0.vlan.name, "owner": "\($0.owner)",
                    "peer": $0.peer.map { "\($0)" } ?? NSNull(), "ringByteCount": $0.ringByteCount,
                    "state": "\($0.state)", "tainted": $0.isTainted,
                ] as [String: Any]
            },
            "connections": self.connections.map {
                [
                    "partition": $0.partition, "identifier": $0.report.identifier,
                    "vlan": $0.report.vlan?.name ?? NSNull(), "path": $0.report.path,
                    "reason": $0.report.reason ?? NSNull(), "local": $0.report.local, "remote": $0.report.remote,
                ] as [String: Any]
            },
        ]
    }
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
