import SMCHypervisor
import Testing

@Suite struct DefaultPoolTests {
    private let mebibyte = 1 << 20

    /// In a container the machine's memory says nothing.
    @Test func theSmallerOfMachineAndControlGroupCounts() {
        func pool(_ physical: Int, _ limit: Int?) -> Int {
            HypervisorConfiguration.defaultPoolByteCount(
                physical: physical * self.mebibyte, limit: limit.map { $0 * self.mebibyte }) / self.mebibyte
        }
        #expect(pool(1600, nil) == 100)
        #expect(pool(1600, 800) == 50)
        #expect(pool(800, 1600) == 50)
        #expect(pool(1 << 20, nil) == 256)
        #expect(pool(1 << 20, 640) == 40)
        #expect(pool(1 << 20, 64) == 16, "the least that is of use")
    }
}
