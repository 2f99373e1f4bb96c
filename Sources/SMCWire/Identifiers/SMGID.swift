/// The 128-bit address of a partition on a VLAN (seed A14).
///
/// On the wire it is an emulated-ISM GID: 64 bits of GID followed by 64 bits of extended GID, in two consecutive
/// GID/CHID entries of the SMC-Dv2 extension of a CLC Proposal.
package struct SMGID: Hashable, Sendable {
    /// The first eight bytes: the GID.
    package var gid: UInt64
    /// The last eight bytes: the extended GID.
    package var extendedGID: UInt64

    package init(gid: UInt64, extendedGID: UInt64) {
        self.gid = gid
        self.extendedGID = extendedGID
    }
}

extension SMGID: CustomStringConvertible {
    /// 32 hexadecimal digits, the two halves joined by a colon.
    package var description: String {
        func digits(_ value: UInt64) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(self.gid) + ":" + digits(self.extendedGID)
    }
}
