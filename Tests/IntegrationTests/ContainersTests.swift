import Foundation
import Testing

/// Programs in containers of their own; the recipe is that of Docs/Containers.md.
@Suite struct ContainersTests {
    @Test func twoContainersShareMemory() async throws {
        guard getuid() == 0 else {
            print("ContainersTests: not run, because only root can make namespaces for several users")
            return
        }
        try await Scene.play(limit: 120) { scene in
            let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Containers/run").path
            let run = try scene.start(
                "/bin/bash", [script, Program.smc], environment: ["TMPDIR": scene.directory])
            #expect(try await run.exit() == 0, "\(run.errors)")
            #expect(run.output.contains("16 MiB each way over shared memory"))
        }
    }
}
