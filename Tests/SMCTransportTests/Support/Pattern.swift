import Glibc
import SMCTesting

/// An endless stream of bytes of which every part can be made and checked by its position.
struct Pattern: Sendable {
    private static let period = 65_521  // A prime: no power of two falls on it.
    private static let bytes: [UInt8] = {
        var random = SeededGenerator(seed: 42)
        let once = (0..<Self.period).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        return once + once + once
    }()

    static let mostPerPart = 2 * Self.period

    static func part(_ position: Int, _ count: Int) -> [UInt8] {
        let start = position % Self.period
        return Array(Self.bytes[start..<start + count])
    }

    static func matches(_ part: [UInt8], at position: Int) -> Bool {
        let start = position % Self.period
        return part.withUnsafeBytes { part in
            Self.bytes.withUnsafeBytes { memcmp(part.baseAddress!, $0.baseAddress! + start, part.count) == 0 }
        }
    }
}
