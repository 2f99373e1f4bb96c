internal import CIBVerbs

/// The fence between users of a device: queue pairs reach only memory of their own domain.
@safe
package final class ProtectionDomain: @unchecked Sendable {
    // SAFETY: not nil, valid until deinit; children hold this object, so nothing uses it afterwards. Never changes.
    let raw: UnsafeMutablePointer<ibv_pd>
    /// Kept alive: the domain belongs to it.
    package let device: DeviceContext

    package init(_ device: DeviceContext) throws(VerbsError) {
        unsafe self.raw = try checkPointer("ibv_alloc_pd", unsafe ibv_alloc_pd(device.raw))
        self.device = device
    }

    deinit {
        _ = unsafe ibv_dealloc_pd(self.raw)
    }
}

/// Memory that the device may read and write and that peers with the key may write.
@safe
package final class MemoryRegion: @unchecked Sendable {
    // SAFETY: not nil, valid until deinit, never changes. `owner` keeps the memory mapped until after deregistration:
    // stored properties go after the body of deinit.
    private let raw: UnsafeMutablePointer<ibv_mr>
    private let owner: AnyObject
    /// Kept alive: the registration belongs to it.
    package let domain: ProtectionDomain

    /// Where the memory begins; peers write to addresses from here on.
    package let address: UInt64
    package let byteCount: Int
    /// What local work requests name the memory by.
    package let localKey: UInt32
    /// What peers need in order to write.
    package let remoteKey: UInt32

    /// Registers memory: the kernel locks its pages.
    ///
    /// - Parameters:
    ///   - base: best at a page's beginning, because whole pages are locked.
    ///   - owner: whoever keeps the memory; held until the registration is gone.
    /// - Safety: the memory stays mapped while `owner` lives, and others write to it at any time.
    /// - Throws: errno ENOMEM when the process may not lock so much memory (RLIMIT_MEMLOCK).
    @unsafe
    package init(
        _ domain: ProtectionDomain, base: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject
    ) throws(VerbsError) {
        let access = IBV_ACCESS_LOCAL_WRITE.rawValue | IBV_ACCESS_REMOTE_WRITE.rawValue
        let raw = try unsafe checkPointer(
            "ibv_reg_mr", unsafe cibverbs_reg_mr(domain.raw, base, byteCount, Int32(access)))
        unsafe self.raw = raw
        self.owner = owner
        self.domain = domain
        self.address = UInt64(UInt(bitPattern: base))
        self.byteCount = byteCount
        self.localKey = unsafe raw.pointee.lkey
        self.remoteKey = unsafe raw.pointee.rkey
    }

    deinit {
        _ = unsafe ibv_dereg_mr(self.raw)
    }

    /// A piece of it for a work request. A range outside the region is a programmer error and traps.
    package func segment(at offset: Int, byteCount: Int) -> MemorySegment {
        precondition(
            offset >= 0 && byteCount >= 0 && byteCount <= self.byteCount && offset <= self.byteCount - byteCount,
            "segment \(offset)+\(byteCount) outside a region of \(self.byteCount) bytes")
        // SAFETY: the range lies within the registered memory, which `owner` keeps mapped.
        return unsafe MemorySegment(
            address: self.address + UInt64(offset), byteCount: UInt32(byteCount), localKey: self.localKey)
    }
}
