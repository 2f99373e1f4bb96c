import Foundation
import Testing

/// Peers that break the rules of shared memory: their connection may end, and nothing else may happen.
///
/// Run once more by `make test` with programs that were built with AddressSanitizer.
@Suite struct HostileMemoryTests {
    /// A listener under attack, with a stream of somebody else's through the same process.
    private struct Stage {
        let scene: Scene
        let hypervisor: Program
        let victim: Program
        let port: Int
        let bystander: Program
        private let firstBooks: Books

        init(_ scene: Scene) async throws {
            self.scene = scene
            self.hypervisor = try await scene.hypervisor()
            self.firstBooks = try await scene.books()
            self.victim = try scene.smc("listen", "--echo", "--require", "shm", "127.0.0.1:0")
            self.port = try await self.victim.port()
            self.bystander = try scene.smc("connect", "--require", "shm", "127.0.0.1:\(self.port)", input: .pipe)
            try await self.talk("before ", after: "")
        }

        func talk(_ text: String, after before: String) async throws {
            try self.bystander.write(text.utf8)
            try await self.scene.until("the bystander is served") { self.bystander.output == before + text }
        }

        /// Others are served meanwhile, byte by byte what they sent, by the victim and by another process.
        func attack(_ arguments: String...) async throws {
            let other = try self.scene.smc("listen", "--echo", "127.0.0.1:0")
            let otherPort = try await other.port()
            let hostile = try self.scene.start(Program.hostilePeer, arguments)
            let pings = try [self.port, otherPort].map {
                try self.scene.smc("ping", "--require", "shm", "--count", "300", "--size", "20K", "127.0.0.1:\($0)")
            }
            #expect(try await hostile.exit() == 0, "\(hostile.errors)")
            for ping in pings { #expect(try await ping.exit() == 0, "\(ping.errors)") }
            other.send(SIGKILL)
            _ = try await other.exit()
        }

        /// The victim has lost that connection, and nothing else.
        func expectNoHarm() async throws {
            try await self.talk("after", after: "before ")
            let next = try self.scene.smc("ping", "--require", "shm", "--count", "10", "127.0.0.1:\(self.port)")
            #expect(try await next.exit() == 0, "\(next.errors)")
            try await self.expectRest(self.victim)
            try await self.expectRest(self.hypervisor)
            try self.bystander.closeInput()
            #expect(try await self.bystander.exit() == 0)
            #expect(self.bystander.output == "before after")
            #expect(self.victim.isRunning && self.hypervisor.isRunning)
            #expect(!self.victim.errors.contains("Sanitizer") && !self.hypervisor.errors.contains("Sanitizer"))
            let complaints = self.victim.errorLines.dropFirst()
            #expect(complaints.allSatisfy { $0.contains("over shared-memory broke: ") }, "\(complaints)")
        }

        /// It waits for something, and does not run in circles.
        private func expectRest(_ program: Program) async throws {
            var share = 1.0
            try await self.scene.until("process \(program.processID) rests") {
                let before = program.processorSeconds
                try await SceneThread.shared.sleep(milliseconds: 300)
                share = (program.processorSeconds - before) / 0.3
                return share < 0.4
            }
        }

        /// When the victim has gone as well, the books are as they were.
        func expectAllBack() async throws {
            self.victim.send(SIGKILL)
            _ = try await self.victim.exit()
            try await self.scene.until("the pool is whole again") {
                try await self.scene.books() == self.firstBooks
            }
        }
    }

    /// Two of each kind: even seeds nudge cursors, odd ones write anything anywhere.
    @Test(arguments: [1, 2, UInt64.random(in: 3 ... .max / 2) * 2, UInt64.random(in: 3 ... .max / 2) * 2 + 1])
    func scribblingEndsOneConnection(seed: UInt64) async throws {
        print("HostileMemoryTests.scribblingEndsOneConnection: seed \(seed)")
        try await Scene.play(limit: 90) { scene in
            let stage = try await Stage(scene)
            try await stage.attack("scribble", scene.socket, "\(stage.port)", "\(seed)", "700")
            try await stage.expectNoHarm()
            try await stage.expectAllBack()
        }
    }

    @Test func nothingCanBeDoneWithDescriptors() async throws {
        try await Scene.play(limit: 90) { scene in
            let holder = try scene.start(Program.hostilePeer, ["hold", scene.path("holder.sock")])
            _ = try await holder.line("holds")
            let stage = try await Stage(scene)
            try await stage.attack("descriptors", scene.socket, "\(stage.port)", scene.path("holder.sock"))
            try await stage.expectNoHarm()
            // Both SMBs of that connection are in the holder's hands: nobody else gets them.
            try await scene.until("the books show it") {
                try await scene.books().pools.reduce(0) { $0 + $1.reclaiming } == 2
            }
            holder.send(SIGKILL)
            _ = try await holder.exit()
            try await stage.expectAllBack()
        }
    }
}
