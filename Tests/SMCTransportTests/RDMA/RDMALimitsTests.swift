import SMCTransport
import Testing

/// A peer says how large its rings are: that must not decide how much memory we take.
struct RDMALimitsTests {
    @Test(arguments: 14...29) func imagesTakeABoundedAmountOfMemory(exponent: Int) {
        let size = 1 << exponent
        let most = 16 << 20
        guard let count = RDMALimits.imagesPerRegistration(ringByteCount: size, ownRingByteCount: 262_144) else {
            #expect(size > most)
            return
        }
        #expect(size <= most)
        #expect((1...RDMALimits.elementsPerBuffer).contains(count))
        #expect(count * size <= most)
    }

    /// Whoever has such rings itself may write into such rings.
    @Test func oneOfOurOwnSizeIsAlwaysPossible() {
        #expect(RDMALimits.imagesPerRegistration(ringByteCount: 1 << 29, ownRingByteCount: 1 << 29) == 1)
        #expect(RDMALimits.imagesPerRegistration(ringByteCount: 1 << 29, ownRingByteCount: 1 << 28) == nil)
    }
}
