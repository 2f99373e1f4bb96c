import SMCTesting
import SMCWire
import Testing

/// Nothing a peer sends can trap, and nothing that does not add up is taken.
struct HostileBytesTests {
    static let frames = GoldenFrames.all + ConstructedFrames.all

    @Test(arguments: Self.frames) func everyTruncationIsRefused(frame: Frame) {
        for length in 0..<frame.bytes.count {
            #expect(throws: WireError.self, "\(length) bytes") {
                try AnyMessage(decoding: Array(frame.bytes.prefix(length)))
            }
        }
    }

    @Test(arguments: Self.frames) func bytesAfterTheEndAreRefused(frame: Frame) {
        #expect(throws: WireError.self) { try AnyMessage(decoding: frame.bytes + [0]) }
        #expect(throws: WireError.self) {
            try AnyMessage(decoding: frame.bytes + [UInt8](repeating: 0, count: 16))
        }
    }

    /// A message cut short whose length says so is still not a message, unless it is one of a shorter kind.
    @Test(arguments: Self.frames.filter(\.isCLC)) func shorterLengthsAreRefused(frame: Frame) {
        for length in 12..<frame.bytes.count {
            var bytes = Array(frame.bytes.prefix(length - 4)) + frame.bytes.suffix(4)
            bytes[5] = UInt8(length >> 8)
            bytes[6] = UInt8(length & 0xff)
            #expect(throws: WireError.self, "\(length) bytes") { try AnyMessage(decoding: bytes) }
        }
    }

    @Test(arguments: GoldenFrames.linux612 + ConstructedFrames.all) func everyLyingLengthIsRefused(frame: Frame) throws
    {
        let (offset, byteCount) = frame.isCLC ? (5, 2) : frame.bytes[0] >> 4 == 2 ? (1, 2) : (1, 1)
        let size = frame.bytes.count
        for value in 0..<(1 << (8 * byteCount)) {
            var bytes = frame.bytes
            if byteCount == 2 { bytes[offset] = UInt8(value >> 8) }
            bytes[offset + byteCount - 1] = UInt8(value & 0xff)
            let isTrue = value == size || (!frame.isCLC && byteCount == 2 && value == Int(UInt16(size).byteSwapped))
            if isTrue { continue }
            let message = try? AnyMessage(decoding: bytes)
            if message != nil { Issue.record("length \(value) was taken") }
        }
    }

    /// Every byte, and so every offset, count and code of one byte, takes every value.
    @Test(arguments: GoldenFrames.linux612 + ConstructedFrames.all) func everyValueOfEveryByteIsHandled(frame: Frame) {
        for offset in frame.bytes.indices {
            var bytes = frame.bytes
            for value in UInt8.min...UInt8.max {
                bytes[offset] = value
                _ = decodeAndCheck(bytes)
            }
        }
    }

    /// A field that places or counts what follows, and is wrong.
    struct Lie: Sendable {
        var frame: Frame
        var field: String
        var offset: Int
        var byteCount: Int
        /// Values that are taken: the true one, and its other byte order where that is allowed.
        var allowed: Set<Int>
    }

    static let lies = [
        Lie(frame: GoldenFrames.linux612[0], field: "IP area offset", offset: 38, byteCount: 2, allowed: [0]),
        Lie(frame: GoldenFrames.linux612[0], field: "v2 extension offset", offset: 50, byteCount: 2, allowed: [28]),
        Lie(frame: GoldenFrames.linux612[0], field: "EID count", offset: 80, byteCount: 1, allowed: [1]),
        Lie(frame: GoldenFrames.linux612[0], field: "GID entry count", offset: 81, byteCount: 1, allowed: [0]),
        Lie(frame: GoldenFrames.linux612[0], field: "SMC-Dv2 offset", offset: 86, byteCount: 2, allowed: [0]),
        Lie(frame: GoldenFrames.linux612[2], field: "GID list count", offset: 156, byteCount: 1, allowed: [1]),
        Lie(frame: ConstructedFrames.proposalAll, field: "IP area offset", offset: 38, byteCount: 2, allowed: [40]),
        Lie(frame: ConstructedFrames.proposalAll, field: "v2 offset", offset: 50, byteCount: 2, allowed: [53]),
        Lie(frame: ConstructedFrames.proposalAll, field: "prefix count", offset: 87, byteCount: 1, allowed: [1]),
        Lie(frame: ConstructedFrames.proposalAll, field: "EID count", offset: 105, byteCount: 1, allowed: [2]),
        Lie(frame: ConstructedFrames.proposalAll, field: "GID count", offset: 106, byteCount: 1, allowed: [3]),
        Lie(frame: ConstructedFrames.proposalAll, field: "SMC-Dv2 offset", offset: 111, byteCount: 2, allowed: [96]),
        Lie(frame: ConstructedFrames.addLinkV2, field: "rkey count", offset: 70, byteCount: 2, allowed: [2, 0x200]),
        Lie(frame: ConstructedFrames.requestAddLink, field: "GID count", offset: 24, byteCount: 1, allowed: [2]),
        Lie(frame: ConstructedFrames.deleteRKeyV2Long, field: "count", offset: 4, byteCount: 1, allowed: [10]),
        Lie(
            frame: ConstructedFrames.deleteRKey, field: "count", offset: 4, byteCount: 1, allowed: Set(0...8)),
        Lie(
            frame: ConstructedFrames.confirmRKey, field: "count", offset: 4, byteCount: 1, allowed: Set(0...7)),
        Lie(
            frame: ConstructedFrames.confirmRKeyContinuation, field: "count", offset: 4, byteCount: 1,
            allowed: Set(0...7)),
    ]

    @Test(arguments: Self.lies) func everyLieIsRefused(lie: Lie) {
        for value in 0..<(1 << (8 * lie.byteCount)) {
            var bytes = lie.frame.bytes
            if lie.byteCount == 2 { bytes[lie.offset] = UInt8(value >> 8) }
            bytes[lie.offset + lie.byteCount - 1] = UInt8(value & 0xff)
            let isTaken = decodeAndCheck(bytes) != nil
            if isTaken != lie.allowed.contains(value) {
                Issue.record("\(lie.field) \(value) was \(isTaken ? "taken" : "refused")")
            }
        }
    }

    @Test(arguments: [UInt64.random(in: 0 ... .max)]) func randomMutationsAreHandled(seed: UInt64) {
        print("HostileBytesTests.randomMutationsAreHandled: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var taken = 0
        for _ in 0..<100_000 {
            var bytes = Self.frames.randomElement(using: &random)!.bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                switch Int.random(in: 0..<10, using: &random) {
                case 0 where !bytes.isEmpty:
                    bytes.removeSubrange(Int.random(in: bytes.indices, using: &random)...)
                case 1:
                    bytes.append(UInt8.random(in: 0...255, using: &random))
                case 2...5 where !bytes.isEmpty:
                    bytes[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                default:
                    if bytes.isEmpty { continue }
                    bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
            }
            if decodeAndCheck(bytes) != nil { taken += 1 }
        }
        #expect(taken > 0 && taken < 100_000, "the mutations test only one side")
    }
}
