import Foundation

/// A hypervisor of our own, in a folder of its own, which is removed with it.
final class HypervisorProcess {
    let folder: URL
    var socket: String { self.folder.appending(path: "hypervisor").path }
    private let process: Child

    /// Starts it, and returns when it listens.
    init(smc: String) throws {
        self.folder = FileManager.default.temporaryDirectory.appending(path: "smc-test-\(getpid())")
        try FileManager.default.createDirectory(
            at: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let socket = self.folder.appending(path: "hypervisor").path
        self.process = try Child(smc, ["hypervisor", "--quiet", "--pool", "512M", "--socket", socket])
        let deadline = Date.now + 10
        while !FileManager.default.fileExists(atPath: socket) {
            guard self.process.isRunning, Date.now < deadline else {
                throw BenchmarkError("the hypervisor does not start: try '\(smc) hypervisor'")
            }
            usleep(10_000)
        }
    }

    deinit {
        self.process.end()
        try? FileManager.default.removeItem(at: self.folder)
    }
}
