internal import SMCControl
internal import SMCMemory
internal import SMCSystem
package import SMCWire

/// What a hypervisor is told when it starts.
package struct HypervisorConfiguration: Sendable {
    /// Whom the hypervisor serves, by the user that the kernel names.
    package enum AllowedUsers: Hashable, Sendable {
        /// The user that runs it, and root.
        case ownerAndRoot
        case everyone
    }

    /// Where it listens. The directory is made if it is not there, and must belong to the user that runs it.
    package var socketPath: String
    /// What is taken at the start; at least one. Partitions whose VLAN names no pool take from all, in this order.
    package var pools: [PoolConfiguration]
    /// Bytes of the first pool, control areas included.
    package var poolByteCount: Int {
        get { self.pools.first?.byteCount ?? 0 }
        set { self.pools = [PoolConfiguration(byteCount: newValue)] + self.pools.dropFirst() }
    }
    /// The first is the one of partitions that ask for none.
    package var vlans: [VLANID]
    /// Bytes of the pool that a VLAN may use; a VLAN that is not named here may use all.
    package var vlanLimits: [VLANID: Int] = [:]
    /// Ends when it had no partition for so long; nil: never.
    package var idleTimeout: Duration?
    package var allowedUsers: AllowedUsers = .ownerAndRoot
    /// What administrators wrote down. It decides instead of ``vlans`` and ``vlanLimits``, if it is there.
    package var settings: HypervisorSettings?
    /// Reads what they wrote anew, on a thread of its own; nil: it is not written anywhere.
    package var readSettings: (@Sendable () -> Result<HypervisorSettings, SettingsRefusal>)?
    /// Whether SIGTERM and SIGINT end it cleanly, and SIGHUP has it read its configuration again, or, if it has none,
    /// ends it too. Only for a process that is nothing but a hypervisor.
    package var handlesSignals = false
    /// Sessions at one time, those included that have not said anything yet.
    package var sessionsMaximum = 1024
    /// Of these, sessions of one user other than root and the hypervisor's own. Nil: a quarter.
    package var sessionsPerUserMaximum: Int?
    package var partitionsMaximum = 1024
    /// How long a session may say nothing at its beginning.
    package var handshakeTimeout: Duration = .seconds(10)
    /// Bytes before the ring in each SMB.
    package var controlByteCount = 4096

    package init(
        socketPath: String, poolByteCount: Int = HypervisorConfiguration.defaultPoolByteCount,
        vlans: [VLANID] = [.default], idleTimeout: Duration? = nil
    ) {
        self.socketPath = socketPath
        self.pools = [PoolConfiguration(byteCount: poolByteCount)]
        self.vlans = vlans
        self.idleTimeout = idleTimeout
    }

    /// A sixteenth of the memory that we may use, but 16 MiB at least and 256 MiB at most.
    package static var defaultPoolByteCount: Int {
        self.defaultPoolByteCount(
            physical: ResourceLimits.physicalMemoryByteCount(), limit: ResourceLimits.controlGroupMemoryByteCount())
    }

    /// - Parameters:
    ///   - physical: the machine's memory.
    ///   - limit: what the control group of this process may use; nil: all of it.
    package static func defaultPoolByteCount(physical: Int, limit: Int?) -> Int {
        let mebibyte = 1 << 20
        return min(max(min(physical, limit ?? physical) / 16, 16 * mebibyte), 256 * mebibyte)
    }

    /// The directory of the socket.
    var directory: String {
        guard let slash = self.socketPath.lastIndex(of: "/") else { return "." }
        return slash == self.socketPath.startIndex ? "/" : String(self.socketPath[..<slash])
    }
}

/// Why a hypervisor could not start.
package enum HypervisorStartError: Error, Sendable {
    /// Another one has the socket.
    case alreadyRunning(String)
    /// The configuration or the place of the socket cannot be used.
    case unsuitable(String)
    case system(String)
}

extension HypervisorStartError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .alreadyRunning(let path): "another hypervisor runs already at \(path)"
        case .unsuitable(let text), .system(let text): text
        }
    }
}
