internal import CSMCShims
internal import Glibc

/// This process, and starting others.
package enum Process {
    package static var processID: Int32 {
        getpid()
    }

    package static var userID: UInt32 {
        getuid()
    }

    /// The path of the running program, or nil when /proc does not tell.
    package static var executablePath: String? {
        FileSystem.linkTarget("/proc/self/exe")
    }

    /// Where relative paths begin.
    package static var workingDirectory: String {
        FileSystem.linkTarget("/proc/self/cwd") ?? "."
    }

    /// The value of an environment variable; nil when it is unset or empty.
    package static func environment(_ name: String) -> String? {
        // SAFETY: the string is copied at once; nothing here changes the environment.
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// Starts a program in a session of its own, with /dev/null for its standard descriptors, none of our other
    /// descriptors, no blocked signals, and our environment.
    ///
    /// - Parameter arguments: without the program's name.
    /// - Returns: its process identifier, to be given to ``exitStatus(_:)`` until that is known.
    package static func spawnDetached(_ path: String, arguments: [String]) throws(SystemCallError) -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // SAFETY: initialised here, destroyed below, used by nobody else.
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        for descriptor: Int32 in 0...2 {
            unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
        }
        _ = unsafe csmc_spawn_close_from(&actions, 3)
        var mask = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&mask)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &mask)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID is hidden behind _GNU_SOURCE in the module that Swift imports.
        let setSession: Int32 = 0x80
        let flags = setSession | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var arguments = unsafe ([path] + arguments).map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer {
            unsafe arguments.forEach { unsafe free($0) }
        }
        var processID: pid_t = 0
        // SAFETY: the argument list ends with nil, and all of it lives for the call.
        let code = unsafe posix_spawn(&processID, path, &actions, &attributes, arguments, environ)
        guard code == 0 else { throw SystemCallError(call: "posix_spawn \(path)", errno: code) }
        return processID
    }

    /// The exit status of a child, or 128 and the signal's number; then it is no zombie any more. Nil as long as it
    /// runs. 0 as well when somebody else has waited for it.
    package static func exitStatus(_ processID: Int32) -> Int32? {
        var status: Int32 = 0
        // SAFETY: the status is ours.
        let result = unsafe waitpid(processID, &status, WNOHANG)
        guard result != 0 else { return nil }
        guard result == processID else { return 0 }
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
    }

    /// Sleeps without occupying the processor.
    package static func sleep(milliseconds: Int32) {
        _ = poll(nil, 0, max(0, milliseconds))
    }
}
