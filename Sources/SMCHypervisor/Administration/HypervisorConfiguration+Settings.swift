extension HypervisorConfiguration {
    /// Takes over what administrators wrote down; see ``settings``.
    package mutating func apply(_ settings: HypervisorSettings) {
        self.settings = settings
        self.allowedUsers = settings.service == .everyone ? .everyone : .ownerAndRoot
        self.sessionsMaximum = settings.limits.sessions
        self.partitionsMaximum = settings.limits.partitions
        self.handshakeTimeout = .seconds(settings.limits.handshakeSeconds)
        self.pools = settings.pools.map { pool in
            PoolConfiguration(
                pool.id, byteCount: pool.byteCount ?? Self.defaultPoolByteCount,
                wantsHugePages: pool.hugePages == .prefer)
        }
    }
}
