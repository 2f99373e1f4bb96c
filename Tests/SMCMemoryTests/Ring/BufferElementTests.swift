import SMCMemory
import SMCSystem
import SMCTesting
import Synchronization
import Testing

struct BufferElementTests {
    private static let ring = 16_384

    private static func make() throws -> (element: BufferElement, mapping: Mapping) {
        let mapping = try TestElement.map(ringByteCount: self.ring)
        return (BufferElement(sharedMemory: mapping, ringByteCount: self.ring), mapping)
    }

    // MARK: Words where they belong

    @Test func everyFieldLiesWhereTheLayoutSays() throws {
        let (element, mapping) = try Self.make()
        func word(_ offset: Int) -> UInt64 {
            mapping.read(8, at: offset).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        element.writeHeader(challenge: MemoryChallenge(first: 0x11, second: 0x22))
        element.respond(MemoryChallenge(first: 0x33, second: 0x44))
        _ = element.publishProducer(5)
        _ = element.publishConsumer(3)
        #expect(element.armConsumer(ifStill: 3))
        element.setWakePosition(77)
        element.publishState(0x80)
        element.publishState(0x40)
        #expect(word(0) == BufferElementLayout.magic)
        #expect(word(8) == 16_384)
        #expect(word(64) == 0x11 && word(72) == 0x22)
        #expect(word(80) == 0x33 && word(88) == 0x44)
        #expect(word(128) == 5 << 3)
        #expect(word(256) == 3 << 3 | 1)
        #expect(word(384) & 0xffff_ffff == 0xc0)
        #expect(word(512) == 77)
        let written = [0, 8, 64, 72, 80, 88, 128, 256, 384, 512]
        for offset in stride(from: 0, to: 4096, by: 8) where !written.contains(offset) { #expect(word(offset) == 0) }
        element.reset()
        #expect(word(128) == 0 && word(256) == 0 && word(384) == 0 && word(512) == 0)
        #expect(element.hasValidHeader, "a reset keeps the header")
    }

    @Test func aHeaderOfAnotherKindIsNotValid() throws {
        let (element, mapping) = try Self.make()
        #expect(!element.hasValidHeader)
        element.writeHeader(challenge: .random())
        #expect(element.hasValidHeader)
        for offset in [0, 4, 8, 10] {
            let before = mapping.read(1, at: offset)
            mapping.write([before[0] ^ 1], at: offset)
            #expect(!element.hasValidHeader, "byte \(offset)")
            mapping.write(before, at: offset)
        }
        #expect(element.hasValidHeader)
    }

    // MARK: Challenge and response

    @Test func echoingMemoryProvesNothing() {
        for _ in 0..<100 {
            let challenge = MemoryChallenge.random()
            #expect(challenge != MemoryChallenge(first: 0, second: 0))
            #expect(challenge.expectedResponse != challenge)
            #expect(challenge.expectedResponse != MemoryChallenge(first: 0, second: 0))
        }
        let fixed = MemoryChallenge(first: 0x0f, second: 0xf0)
        #expect(fixed.expectedResponse == MemoryChallenge(first: ~0xf0, second: ~0x0f))
    }

    @Test func theProofGoesThroughTheMemory() throws {
        let file = try MemoryFile.create(name: "smc-test", byteCount: BufferElementLayout.controlByteCount + Self.ring)
        let owner = try TestElement.element(file, Self.ring)
        let peer = try TestElement.element(file, Self.ring)
        let challenge = MemoryChallenge.random()
        owner.writeHeader(challenge: challenge)
        #expect(peer.hasValidHeader)
        #expect(owner.response != challenge.expectedResponse)
        peer.respond(peer.challenge.expectedResponse)
        #expect(owner.response == challenge.expectedResponse)
    }

    // MARK: The ring

    /// Every small offset and size around the ring's end, against an array.
    @Test func theRingIsAnArrayThatGoesRound() throws {
        let (element, _) = try Self.make()
        for offset in -20...20 {
            for count in 0...40 {
                let position = UInt64(Self.ring * 7 + offset)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ offset) }
                bytes.withUnsafeBytes { element.write($0, at: position) }
                var read = [UInt8](repeating: 0, count: count)
                read.withUnsafeMutableBytes { element.read(into: $0, at: position) }
                if read != bytes { Issue.record("\(count) bytes at \(position)") }
            }
        }
        #expect(element.ringByteCount == Self.ring)
    }

    @Test(arguments: 0..<20) func aStreamComesOutAsItWentIn(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let (element, mapping) = try Self.make()
        var model: [UInt8] = []  // What is in the ring.
        // Near the top, where cursors wrap.
        var produced = seed % 2 == 0 ? 0 : UInt64.max &- UInt64.random(in: 0..<50_000, using: &random)
        var consumed = produced
        for _ in 0..<40 {
            let room = Self.ring - model.count
            let bytes = (0..<Int.random(in: 0...room, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            bytes.withUnsafeBytes { element.write($0, at: produced) }
            model += bytes
            produced &+= UInt64(bytes.count)
            var read = [UInt8](repeating: 0, count: Int.random(in: 0...model.count, using: &random))
            read.withUnsafeMutableBytes { element.read(into: $0, at: consumed) }
            guard read.elementsEqual(model.prefix(read.count)) else {
                Issue.record("at \(consumed), seed \(seed)")
                return
            }
            model.removeFirst(read.count)
            consumed &+= UInt64(read.count)
        }
        // No byte outside of the ring was touched.
        #expect(mapping.read(4096, at: 0).allSatisfy { $0 == 0 }, "seed \(seed)")
    }

    @Test func aRingMayLieAnywhereInItsMapping() throws {
        let control = try Mapping(anonymousByteCount: 8192)
        let file = try MemoryFile.create(name: "smc-test", byteCount: 3 * Self.ring)
        let whole = try Mapping(file)
        let ring = try Mapping(file, from: Self.ring, byteCount: Self.ring, mirroring: Self.ring)
        let element = BufferElement(
            control: control, controlOffset: 4096, ring: ring, ringOffset: 0, ringByteCount: Self.ring)
        let bytes = [UInt8](repeating: 0xaa, count: Self.ring)
        bytes.withUnsafeBytes { element.write($0, at: 12_345) }
        _ = element.publishProducer(1)
        #expect(whole.read(Self.ring, at: 0).allSatisfy { $0 == 0 })
        #expect(whole.read(Self.ring, at: Self.ring).allSatisfy { $0 == 0xaa })
        #expect(whole.read(Self.ring, at: 2 * Self.ring).allSatisfy { $0 == 0 })
        #expect(control.read(4096, at: 0).allSatisfy { $0 == 0 })
        #expect(control.read(1, at: 4096 + 128) == [8])
    }
}
