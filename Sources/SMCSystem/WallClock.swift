internal import CSMCShims
internal import Glibc

/// The time of day, for people who read logs. Never for deadlines: it may be set back.
package enum WallClock {
    /// Now, in UTC, as RFC 3339 writes it, with microseconds: `2026-11-21T08:20:00.000123Z`.
    package static func now() -> String {
        var time = timespec()
        // SAFETY: the struct is ours. This clock is always there.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Self.text(seconds: Int64(time.tv_sec), microseconds: Int(time.tv_nsec / 1000))
    }

    package static func text(seconds: Int64, microseconds: Int) -> String {
        var parts = unsafe tm()
        var time = time_t(seconds)
        // SAFETY: both structs are ours. It fails for years that do not fit, and leaves zeros.
        _ = unsafe gmtime_r(&time, &parts)
        // SAFETY: the numbers are plain; what makes the struct unsafe is the name of the time zone.
        let date = unsafe [(Int(parts.tm_year) + 1900, 4), (Int(parts.tm_mon) + 1, 2), (Int(parts.tm_mday), 2)]
        let clock = unsafe [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
        let day = date.map { Self.padded($0, $1) }.joined(separator: "-")
        let hour = clock.map { Self.padded($0, 2) }.joined(separator: ":")
        return "\(day)T\(hour).\(Self.padded(microseconds, 6))Z"
    }

    private static func padded(_ number: Int, _ count: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
}
