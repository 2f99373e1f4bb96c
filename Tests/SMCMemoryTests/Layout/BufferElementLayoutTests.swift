import SMCMemory
import Testing

/// The layout is a contract between processes that were built at different times.
struct BufferElementLayoutTests {
    @Test func theLayoutIsFrozen() {
        #expect(BufferElementLayout.magic == 0x534d_4245_0000_0002)
        #expect(BufferElementLayout.magicOffset == 0)
        #expect(BufferElementLayout.ringByteCountOffset == 8)
        #expect(BufferElementLayout.challengeOffset == 64)
        #expect(BufferElementLayout.responseOffset == 80)
        #expect(BufferElementLayout.producerWordOffset == 128)
        #expect(BufferElementLayout.tailTagOffset == 136)
        #expect(BufferElementLayout.tailOffset == 144)
        #expect(BufferElementLayout.tailByteCount == 48, "the rest of the producer word's line")
        #expect(BufferElementLayout.consumerWordOffset == 256)
        #expect(BufferElementLayout.stateWordOffset == 384)
        #expect(BufferElementLayout.wakePositionOffset == 512)
        #expect(BufferElementLayout.wordsByteCount == 640)
        #expect(BufferElementLayout.controlByteCount == 4096)
        #expect(BufferElementLayout.ringByteCountRange == 16_384...536_870_912)
    }

    @Test func ringsArePowersOfTwo() {
        for shift in 0..<40 {
            let size = 1 << shift
            #expect(BufferElementLayout.isValid(ringByteCount: size) == (14...29).contains(shift))
            #expect(!BufferElementLayout.isValid(ringByteCount: size + 1))
        }
        for size in [Int.min, -16_384, 0, 24_576, Int.max] {
            #expect(!BufferElementLayout.isValid(ringByteCount: size))
        }
    }
}
