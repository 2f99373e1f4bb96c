import Foundation
import Testing

/// What is left when a process is killed at the worst moment.
@Suite struct SurvivalTests {
    @Test(arguments: [true, false])
    func theSurvivorReportsWithinASecond(isListenerKilled: Bool) async throws {
        try await Scene.play(isAlone: true) { scene in
            try await scene.hypervisor()
            let before = try await scene.books()
            let source: Program.Input = .file("/dev/zero")
            let (listener, client) = try await scene.pair(
                listenerInput: isListenerKilled ? .pipe : source, clientInput: isListenerKilled ? source : .pipe,
                options: ["--require", "shm"])
            let (victim, survivor) = isListenerKilled ? (listener, client) : (client, listener)
            try await scene.until("the stream flows") { victim.outputData.count > 1_000_000 }
            victim.send(SIGKILL)
            let start = ContinuousClock.now
            try await scene.expectComplaint(survivor, code: 4, "broke: the peer is gone")
            #expect(ContinuousClock.now - start < .seconds(1))
            try await scene.until("the books are as before") { try await scene.books() == before }
            try await Self.expectSharedMemoryWorks(scene)
        }
    }

    /// A survivor whose own standard input is silent, as at a terminal, has nothing else to wake it.
    @Test func aSurvivorWithSilentInputReportsWithinASecond() async throws {
        try await Scene.play(isAlone: true) { scene in
            try await scene.hypervisor()
            let (listener, client) = try await scene.pair(
                listenerInput: .pipe, clientInput: .pipe, options: ["--require", "shm", "--json"])
            try client.write("hello".utf8)
            try await scene.until("the stream flows") { listener.output == "hello" }
            client.send(SIGKILL)
            let start = ContinuousClock.now
            #expect(try await listener.exit() == 4)
            #expect(ContinuousClock.now - start < .seconds(1))
            #expect(try listener.json()["error"]?.text?.contains("the peer is gone") == true)
            #expect(try listener.json()["bytesReceived"] == .number(5))
        }
    }

    @Test func aStreamOutlivesTheHypervisor() async throws {
        try await Scene.play { scene in
            let first = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let client = try scene.smc("connect", "--json", "127.0.0.1:\(port)", input: .pipe)
            try client.write([UInt8](repeating: 1, count: 300_000))
            try await scene.until("the echo is there") { client.outputData.count == 300_000 }
            first.send(SIGKILL)
            _ = try await first.exit()
            try client.write([UInt8](repeating: 2, count: 700_000))
            try client.closeInput()
            #expect(try await client.exit() == 0)
            #expect(client.outputData.count == 1_000_000)
            #expect(client.outputData.dropFirst(300_000).allSatisfy { $0 == 2 })
            #expect(try client.json()["path"] == .text("shared-memory"))

            let meanwhile = try scene.smc("ping", "--count", "1", "--json", "127.0.0.1:\(port)")
            #expect(try await meanwhile.exit() == 0)
            #expect(meanwhile.output.contains("\"path\":\"tcp\""))
            #expect(meanwhile.output.contains("no hypervisor"))

            // The same listener, which was never told, uses shared memory again.
            try await scene.hypervisor()
            try await scene.until("shared memory is used again") {
                let ping = try scene.smc("ping", "--count", "1", "--json", "127.0.0.1:\(port)")
                guard try await ping.exit() == 0 else { throw Scene.Trouble(description: ping.errors) }
                return ping.output.contains("\"path\":\"shared-memory\"")
            }
        }
    }

    /// What connections hold when they end while the hypervisor stands still is given back when it goes on.
    @Test func aHypervisorThatStandsStillGetsAllBack() async throws {
        try await Scene.play { scene in
            let hypervisor = try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let before = try await scene.books()
            var clients: [Program] = []
            for _ in 0..<3 {
                let client = try scene.smc("connect", "--require", "shm", "127.0.0.1:\(port)", input: .pipe)
                try client.write("hello".utf8)
                try await scene.until("the echo is there") { client.output == "hello" }
                clients.append(client)
            }
            hypervisor.send(SIGSTOP)
            for client in clients { try client.closeInput() }
            for client in clients { #expect(try await client.exit() == 0) }
            // Longer than two calls to the hypervisor wait for their answers.
            try await SceneThread.shared.sleep(milliseconds: 5000)
            hypervisor.send(SIGCONT)
            try await scene.until("the books are as before") { try await scene.books() == before }
        }
    }

    @Test(arguments: [true, false])
    func aPeerThatStandsStillForTwoSecondsBreaksNothing(isListenerStopped: Bool) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let (listener, client) = try await scene.pair(
                listenerInput: .nothing, clientInput: .pipe, options: ["--require", "shm"])
            try client.write("before".utf8)
            try await scene.until("the stream flows") { listener.output == "before" }
            let stopped = isListenerStopped ? listener : client
            stopped.send(SIGSTOP)
            try client.write(" meanwhile".utf8)
            try await SceneThread.shared.sleep(milliseconds: 2000)
            stopped.send(SIGCONT)
            try client.write(" after".utf8)
            try client.closeInput()
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(listener.output == "before meanwhile after")
        }
    }

    private static func expectSharedMemoryWorks(_ scene: Scene) async throws {
        try scene.writeRandom("again", byteCount: 1_000_000)
        let (listener, client) = try await scene.pair(
            listenerInput: .nothing, clientInput: .file(scene.path("again")), options: ["--require", "shm"])
        #expect(try await client.exit() == 0)
        #expect(try await listener.exit() == 0)
        #expect(listener.outputData == FileManager.default.contents(atPath: scene.path("again")))
    }
}
