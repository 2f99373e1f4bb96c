internal import SMCSystem

/// The directory that holds a hypervisor's socket. Whoever can write to it can put another socket there, so it must
/// belong to us and nobody else may write to it.
package enum RuntimeDirectory {
    /// Makes the directory if it is not there, and checks it.
    ///
    /// - Parameter isPrivate: whether other users must be kept out of it altogether.
    /// - Throws: ``ControlError/unavailable(_:)`` with what is wrong with it.
    package static func prepare(_ path: String, isPrivate: Bool) throws(ControlError) {
        do throws(SystemCallError) {
            try FileSystem.createDirectory(path, permissions: isPrivate ? 0o700 : 0o755)
        } catch {
            throw .unavailable("cannot make the directory of the hypervisor's socket: \(error)")
        }
        if let complaint = Self.complaint(path, isPrivate: isPrivate) {
            throw .unavailable(complaint)
        }
    }

    /// What is wrong with a directory; nil when it is as it must be.
    package static func complaint(_ path: String, isPrivate: Bool) -> String? {
        let found: FileSystem.Entry?
        do throws(SystemCallError) {
            found = try FileSystem.entry(path)
        } catch {
            return error.description
        }
        guard let entry = found else { return "\(path) does not exist" }
        guard entry.isDirectory else { return "\(path) is not a directory (a symbolic link is none either)" }
        guard entry.ownerUserID == Process.userID else {
            return "\(path) belongs to user \(entry.ownerUserID), not to user \(Process.userID)"
        }
        let forbidden: UInt32 = isPrivate ? 0o077 : 0o022
        guard entry.permissions & forbidden == 0 else {
            let octal = String(entry.permissions, radix: 8)
            return "\(path) has mode \(octal), so that other users can reach it; make it \(isPrivate ? "700" : "755")"
        }
        return nil
    }
}
