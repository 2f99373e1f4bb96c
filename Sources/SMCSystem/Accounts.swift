internal import CSMCShims
internal import Glibc

/// Users and groups of this machine by their names. It may ask servers on the network, and then takes its time.
package enum Accounts {
    /// The user's number; nil when there is no such user.
    package static func userID(named name: String) throws(SystemCallError) -> UInt32? {
        var number: UInt32 = 0
        // SAFETY: the string lives for the call, and the number is ours.
        return try Self.found("getpwnam \(name)", unsafe csmc_lookup_user(name, &number)) ? number : nil
    }

    /// The group's number; nil when there is no such group.
    package static func groupID(named name: String) throws(SystemCallError) -> UInt32? {
        var number: UInt32 = 0
        // SAFETY: as above.
        return try Self.found("getgrnam \(name)", unsafe csmc_lookup_group(name, &number)) ? number : nil
    }

    private static func found(_ call: String, _ code: Int32) throws(SystemCallError) -> Bool {
        switch code {
        case -1: return true
        // getpwnam(3) names these as "not found" too.
        case 0, ENOENT, ESRCH, EBADF, EPERM: return false
        default: throw SystemCallError(call: call, errno: code)
        }
    }
}
