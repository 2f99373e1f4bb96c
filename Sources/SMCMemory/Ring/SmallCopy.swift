/// Copies that are cheaper than a call.
enum SmallCopy {
    /// Copies up to ``BufferElementLayout/tailByteCount`` bytes, in pieces that overlap rather than in loops.
    ///
    /// - Safety: both places hold `count` bytes, and `count` is 1 to 48.
    @unsafe @inline(__always)
    static func copy(_ count: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
        if count >= 16 {
            unsafe self.move(SIMD2<UInt64>.self, source, target, 0)
            if count > 32 { unsafe self.move(SIMD2<UInt64>.self, source, target, 16) }
            unsafe self.move(SIMD2<UInt64>.self, source, target, count &- 16)
        } else if count >= 8 {
            unsafe self.move(UInt64.self, source, target, 0)
            unsafe self.move(UInt64.self, source, target, count &- 8)
        } else if count >= 4 {
            unsafe self.move(UInt32.self, source, target, 0)
            unsafe self.move(UInt32.self, source, target, count &- 4)
        } else {
            unsafe self.move(UInt8.self, source, target, 0)
            unsafe self.move(UInt8.self, source, target, count >> 1)
            unsafe self.move(UInt8.self, source, target, count &- 1)
        }
    }

    @unsafe @inline(__always)
    private static func move<Word: BitwiseCopyable>(
        _ type: Word.Type, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ offset: Int
    ) {
        unsafe target.storeBytes(
            of: source.loadUnaligned(fromByteOffset: offset, as: type), toByteOffset: offset, as: type)
    }
}
