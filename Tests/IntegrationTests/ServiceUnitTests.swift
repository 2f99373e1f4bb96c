import Foundation
import Testing

/// The unit and the configuration that `make install-system` installs.
@Suite struct ServiceUnitTests {
    private static let analyze = "/usr/bin/systemd-analyze"
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: analyze), "systemd-analyze is not installed"))
    func theUnitIsGoodAndHardened() async throws {
        try await Scene.play { scene in
            let source = Self.root.appending(path: "Docs/Examples/smc-hypervisor.service")
            let unit = try String(contentsOf: source, encoding: .utf8)
                .replacingOccurrences(of: "/usr/local/bin/smc", with: Program.smc)
            let path = scene.path("smc-hypervisor.service")
            try Data(unit.utf8).write(to: URL(filePath: path))
            let verify = try scene.start(Self.analyze, ["verify", "--man=no", path])
            #expect(try await verify.exit() == 0, "\(verify.errors)")
            #expect(verify.errors.isEmpty, "\(verify.errors)")
            // In tenths: 1.2 here, and below 2 means "OK".
            let security = try scene.start(
                Self.analyze, ["security", "--offline=true", "--threshold=20", "--no-pager", path])
            #expect(try await security.exit() == 0, "\(security.output)")
        }
    }

    @Test func theConfigurationIsGood() async throws {
        try await Scene.play { scene in
            let path = Self.root.appending(path: "Docs/Examples/hypervisor.yaml").path
            let check = try scene.start(Program.smc, ["hypervisor", "--check-config", "--config", path])
            #expect(try await check.exit() == 0, "\(check.errors)")
        }
    }

    /// The page's example, with accounts that every machine has.
    @Test func theExampleOfTheManualPageIsGood() async throws {
        try await Scene.play { scene in
            let page = try String(
                contentsOf: Self.root.appending(path: "Docs/Man/smc-hypervisor.yaml.5"), encoding: .utf8)
            let example = try #require(page.firstMatch(of: /\.Bd -literal\n([\s\S]*?)\.Ed/)?.output.1)
            let text = example.replacingOccurrences(of: "postgres", with: "root")
                .replacingOccurrences(of: "adm", with: "root")
            let path = scene.path("smc.yaml")
            try Data(text.utf8).write(to: URL(filePath: path))
            let check = try scene.start(Program.smc, ["hypervisor", "--check-config", "--config", path])
            #expect(try await check.exit() == 0, "\(check.errors)")
        }
    }
}
