import Foundation
import Testing

/// Programs that were told nothing find one hypervisor, or start it.
@Suite struct AutomaticHypervisorTests {
    private static let systemSocket = "/run/smc/hypervisor.sock"
    /// Looked at as well; on a machine where people work, one may run there.
    private static let sharedDirectory = "/tmp/smc-\(getuid())"

    /// Starts `smc` in a world whose only place for a hypervisor is the scene's.
    private static func smc(
        _ scene: Scene, _ arguments: [String], input: Program.Input = .nothing
    ) throws -> Program {
        let environment = ["XDG_RUNTIME_DIR": scene.directory]
        guard FileManager.default.fileExists(atPath: Self.sharedDirectory) else {
            return try scene.start(Program.smc, arguments, input: input, environment: environment)
        }
        // Hidden under an empty file system, which nobody else sees.
        let script = "mount -t tmpfs -o mode=755 none \(Self.sharedDirectory) && exec \"$0\" \"$@\""
        return try scene.start(
            "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, Program.smc] + arguments, input: input,
            environment: environment)
    }

    @Test(
        .disabled(if: FileManager.default.fileExists(atPath: systemSocket), "this machine has a hypervisor for all"),
        .enabled(
            if: getuid() == 0 || !FileManager.default.fileExists(atPath: sharedDirectory),
            "only root can hide the hypervisor that may run already"))
    func twoProgramsStartExactlyOne() async throws {
        try await Scene.play { scene in
            // Both look at the same time.
            let listeners = try (0..<2).map { _ in
                try Self.smc(scene, ["listen", "--require", "shm", "127.0.0.1:0"])
            }
            var clients: [Program] = []
            try scene.writeRandom("in", byteCount: 2_000_000)
            for listener in listeners {
                let port = try await listener.port()
                clients.append(
                    try Self.smc(
                        scene, ["connect", "--require", "shm", "--json", "127.0.0.1:\(port)"],
                        input: .file(scene.path("in"))))
            }
            for program in clients + listeners { #expect(try await program.exit() == 0, "\(program.errors)") }
            for listener in listeners {
                #expect(listener.outputData == FileManager.default.contents(atPath: scene.path("in")))
            }
            let hypervisors = Scene.processes(mentioning: scene.path("smc/hypervisor.sock"))
            #expect(hypervisors.count == 1)
            // It ends by itself when nobody needs it, which takes too long to be waited for; the option says so.
            let arguments = hypervisors.first.flatMap { FileManager.default.contents(atPath: "/proc/\($0)/cmdline") }
            #expect(String(decoding: arguments ?? Data(), as: UTF8.self).contains("--idle-timeout\u{0}30"))

            let status = try Self.smc(scene, ["status", "--json"])
            #expect(try await status.exit() == 0, "\(status.errors)")
            #expect(status.output.contains("\"processID\" : \(hypervisors.first ?? 0)"))

            for processID in hypervisors { kill(processID, SIGTERM) }
            try await scene.until("the hypervisor has ended") {
                Scene.processes(mentioning: scene.path("smc/hypervisor.sock")).isEmpty
            }
            #expect(!FileManager.default.fileExists(atPath: scene.path("smc/hypervisor.sock")))
            let after = try Self.smc(scene, ["status"])
            #expect(try await after.exit() == 6)
        }
    }

    @Test func anIdleHypervisorEnds() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor(pool: "16M", "--idle-timeout", "1")
            #expect(try await hypervisor.exit() == 0, "\(hypervisor.errors)")
            #expect(!FileManager.default.fileExists(atPath: scene.socket))
        }
    }
}
