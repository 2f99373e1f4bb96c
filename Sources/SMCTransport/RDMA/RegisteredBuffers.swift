package import SMCMemory
internal import SMCSystem
package import SMCVerbs
internal import Synchronization

/// Many rings in one registered piece of memory: an RMB of receive elements, or the images that writes are made from.
///
/// Registered once, whatever number of connections come and go.
package final class RegisteredBuffers: Sendable {
    /// Bytes of each ring.
    package let ringByteCount: Int
    /// Rings.
    package let count: Int
    // A file, so that each ring can be mapped a second time, twice in a row, as elements need it.
    private let file: MemoryFile
    private let rings: Mapping
    private let controls: Mapping
    // Dropped when the device goes, so that the kernel can let it go although connections still hold the memory.
    private let region: Mutex<MemoryRegion?>
    private let free: Mutex<[Int]>

    /// Bytes of a control area that no peer can reach: the words only, without the page around them.
    private static let controlByteCount = BufferElementLayout.wordsByteCount

    /// - Throws: ``VerbsError`` when the memory cannot be registered, ``SystemCallError`` when there is none.
    package init(_ domain: ProtectionDomain, ringByteCount: Int, count: Int) throws {
        self.ringByteCount = ringByteCount
        self.count = count
        self.file = try MemoryFile.create(name: "smc-rmb", byteCount: ringByteCount * count)
        self.rings = try Mapping(self.file)
        self.controls = try Mapping(anonymousByteCount: Self.controlByteCount * count)
        // SAFETY: the mapping is kept as long as the registration, whose owner it is; the rings in it are plain bytes
        // to which the peer may write at any time.
        let region = try unsafe MemoryRegion(
            domain, base: self.rings.baseAddress, byteCount: self.rings.byteCount, owner: self.rings)
        self.region = Mutex(region)
        self.free = Mutex(Array((0..<count).reversed()))
    }

    /// One ring, taken.
    package struct Slot: Sendable {
        package let buffers: RegisteredBuffers
        /// Counted from 0; on the wire an element index counts from 1.
        package let index: Int
        package let element: BufferElement

        /// Where its ring begins in the registered memory.
        package var offset: Int { self.index * self.buffers.ringByteCount }

        /// Lets another connection have it.
        package func giveBack() {
            self.buffers.free.withLock { $0.append(self.index) }
        }
    }

    /// Takes a ring; nil when all are in use, or there is no memory to map it.
    package func take() -> Slot? {
        guard let index = self.free.withLock({ $0.popLast() }) else { return nil }
        let size = self.ringByteCount
        guard let ring = try? Mapping(self.file, from: index * size, byteCount: size, mirroring: size) else {
            self.free.withLock { $0.append(index) }
            return nil
        }
        let element = BufferElement(
            control: self.controls, controlOffset: index * Self.controlByteCount, ring: ring, ringOffset: 0,
            ringByteCount: size)
        element.reset()
        return Slot(buffers: self, index: index, element: element)
    }

    /// The key and address that the peer writes to; nil when the device is gone.
    package var remote: RemoteAddress? {
        self.region.withLock { $0.map { RemoteAddress(address: $0.address, key: $0.remoteKey) } }
    }

    /// A piece for a work request; nil when the device is gone.
    package func segment(at offset: Int, byteCount: Int) -> MemorySegment? {
        self.region.withLock { $0?.segment(at: offset, byteCount: byteCount) }
    }

    /// Gives the registration up; the memory stays as long as connections use it.
    package func dropRegistration() {
        self.region.withLock { $0 = nil }
    }
}
