import SMCMemory
import SMCSystem
import Testing

@Suite struct StatusBitArrayTests {
    /// Processes of different builds share these pages: a change of the layout needs another magic.
    @Test func layoutIsFrozen() {
        #expect(StatusBitArrayLayout.byteCount == 4096)
        #expect(StatusBitArrayLayout.magic == 0x534d_4353_4241_0001)
        #expect(StatusBitArrayLayout.magicOffset == 0)
        #expect(StatusBitArrayLayout.stateOffset == 8)
        #expect(StatusBitArrayLayout.bitsOffset == 64)
        #expect(StatusBitArrayLayout.wordCount == 504)
        #expect(StatusBitArrayLayout.bitCount == 32256)
        #expect(StatusBitArrayLayout.live == 0)
        #expect(StatusBitArrayLayout.counterpartGone == 1)
        #expect(StatusBitArrayLayout.rightRevoked == 2)
    }

    private func pair() throws -> (StatusBitArray, StatusBitArray) {
        let file = try MemoryFile.create(name: "test", byteCount: StatusBitArrayLayout.byteCount)
        let one = try #require(StatusBitArray.create(in: try Mapping(file)))
        return (one, try #require(StatusBitArray.open(try Mapping(file))))
    }

    @Test func bitsArriveOnceAndInOrder() throws {
        let (one, other) = try self.pair()
        for bit in [32255, 0, 64, 63] {
            #expect(one.set(bit))
        }
        #expect(!one.set(64), "set already")
        var taken: [Int] = []
        other.takeAll { taken.append($0) }
        #expect(taken == [0, 63, 64, 32255])
        taken = []
        other.takeAll { taken.append($0) }
        #expect(taken.isEmpty)
    }

    @Test(arguments: [-1, 32256, Int.max, Int.min]) func bitsOutsideAreIgnored(bit: Int) throws {
        let (one, other) = try self.pair()
        #expect(!one.set(bit))
        other.takeAll { Issue.record("bit \($0) was set") }
        #expect(!other.isCounterpartGone)
    }

    @Test func goneIsSeen() throws {
        let (one, other) = try self.pair()
        #expect(!other.isCounterpartGone)
        one.markCounterpartGone()
        #expect(other.isCounterpartGone && !other.isRightRevoked)
        one.markCounterpartGone(isRevoked: true)
        #expect(other.isCounterpartGone && other.isRightRevoked)
    }

    @Test func pagesThatAreNoneAreRefused() throws {
        let file = try MemoryFile.create(name: "test", byteCount: StatusBitArrayLayout.byteCount)
        #expect(StatusBitArray.open(try Mapping(file)) == nil)
    }
}
