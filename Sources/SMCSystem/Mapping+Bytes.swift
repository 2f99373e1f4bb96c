extension Mapping {
    /// Copies `bytes` to `offset`. Traps outside of the mapping: offsets are ours, never a peer's.
    package func write(_ bytes: [UInt8], at offset: Int) {
        precondition(offset >= 0 && offset + bytes.count <= self.byteCount, "write outside of the mapping")
        // SAFETY: the range lies in the mapping.
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(start: self.baseAddress + offset, count: bytes.count)
                .copyMemory(from: source)
        }
    }

    /// Copies `count` bytes from `offset`. Traps outside of the mapping.
    package func read(_ count: Int, at offset: Int) -> [UInt8] {
        precondition(offset >= 0 && count >= 0 && offset + count <= self.byteCount, "read outside of the mapping")
        // SAFETY: the range lies in the mapping.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: self.baseAddress + offset, count: count))
    }
}
