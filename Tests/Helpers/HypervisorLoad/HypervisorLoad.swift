import Glibc
import SMCControl
import SMCSystem
import SMCWire

/// Fills a hypervisor's books with partitions and SMBs, then measures how long a common-CEC query takes, and tells how
/// much memory the hypervisor has. Run by IntegrationTests and by Tests/Benchmarks/hypervisor-scale.
///
///     hypervisor-load SOCKET PARTITIONS SMBS QUERIES
///
/// Partitions join VLANs v0, v1, ... v9 in turn.
@main
struct HypervisorLoad {
    private struct Partition {
        let session: HypervisorSession
        let address: SMGID
    }

    static func main() {
        let words = Array(CommandLine.arguments.dropFirst())
        let numbers = words.dropFirst().compactMap { Int($0) }
        guard words.count == 4, numbers.count == 3, numbers.allSatisfy({ $0 >= 0 }), numbers[0] > 10 - 1 else {
            print("usage: hypervisor-load SOCKET PARTITIONS SMBS QUERIES   (10 partitions at least)")
            exit(64)
        }
        do {
            try Self.run(words[0], partitionCount: numbers[0], smbCount: numbers[1], queryCount: numbers[2])
        } catch {
            print("hypervisor-load: \(error)")
            exit(1)
        }
    }

    private static func run(_ socket: String, partitionCount: Int, smbCount: Int, queryCount: Int) throws {
        _ = try ResourceLimits.raiseDescriptorLimit()
        var partitions: [Partition] = []
        var processID: Int32 = 0
        for number in 0..<partitionCount {
            let session = try HypervisorSession.connect(socketPath: socket, timeout: .seconds(30))
            guard let vlan = VLANID("v\(number % 10)") else { preconditionFailure("a valid name") }
            let membership = try session.join(name: "load-\(number)", vlans: [vlan])
            partitions.append(Partition(session: session, address: membership.addresses[0].smgid))
            processID = membership.hypervisorProcessID
        }
        for number in 0..<smbCount {
            let partition = partitions[number % partitionCount]
            _ = try partition.session.createSMB(ringByteCount: 16_384, on: partition.address)
        }
        // Of the same VLAN, so that the answer is yes.
        var times: [Double] = []
        for number in 0..<queryCount {
            // Always the same ten ask, so that no more sockets are in the processors' caches when there are more.
            let asker = partitions[number % 10]
            let asked = partitions[(number % 10 + number / 10 * 10) % partitionCount]
            let start = ContinuousClock.now
            let answer = try asker.session.queryCommonCEC(asked.address)
            times.append((ContinuousClock.now - start) / .microseconds(1))
            guard case .common = answer else { preconditionFailure("they are on one VLAN") }
        }
        times.sort()
        let memory = try Self.memory(processID)
        let fields = [
            ("partitions", "\(partitionCount)"), ("smbs", "\(smbCount)"), ("queries", "\(queryCount)"),
            ("p50us", Self.text(times, 0.5)), ("p99us", Self.text(times, 0.99)),
            // Without shared memory, which is the pool's.
            ("beyondPoolKiB", "\((memory["RssAnon"] ?? 0) + (memory["RssFile"] ?? 0))"),
        ]
        print("{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}")
        withExtendedLifetime(partitions) {}
    }

    private static func text(_ times: [Double], _ share: Double) -> String {
        guard !times.isEmpty else { return "null" }
        let value = times[min(times.count - 1, Int(Double(times.count) * share))]
        return "\((value * 100).rounded() / 100)"
    }

    /// KiB by kind, as the kernel says.
    private static func memory(_ processID: Int32) throws -> [String: Int] {
        guard let file = fopen("/proc/\(processID)/status", "r") else {
            throw SystemCallError(call: "fopen", errno: errno)
        }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        var result: [String: Int] = [:]
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let words = text.split { $0 == ":" || $0.isWhitespace }
            if words.count >= 2, let value = Int(words[1]) { result[String(words[0])] = value }
        }
        return result
    }
}
