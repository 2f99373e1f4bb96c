#if DEBUG
    import Foundation
    import SMCControl
    import SMCWire
    import Testing

    /// A partition is killed at every single step that it takes: one run for each. Release builds have no steps to be
    /// killed at.
    @Suite struct KilledPartitionTests {
        enum Victim: String, CaseIterable {
            case client, listener
        }

        /// What the peer of a victim is sent: more than one store.
        private static let byteCount = 150_000

        @Test(arguments: Victim.allCases) func killedAtEveryStep(victim: Victim) async throws {
            try await Scene.play(limit: 240) { scene in
                let hypervisor = try await scene.hypervisor(pool: "16M")
                let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
                let bystander = try await EchoClient(scene, port: echo.port(), count: 2)
                try scene.writeRandom("input", byteCount: Self.byteCount)
                // Once to the end: what a victim does when nobody kills it. It also lets the hypervisor warm up.
                let whole = try await Self.run(scene, victim, step: nil)
                #expect(whole.code == 0)
                for name in Self.required(of: victim) {
                    #expect(whole.steps.contains { $0.name == name }, "no step '\(name)': the test would prove little")
                }
                let before = try Remains(scene, hypervisor)
                var step = 1
                while true {
                    let result = try await Self.run(scene, victim, step: step)
                    try await scene.until("all is as before, after step \(step), \(result.last)") {
                        try Remains(scene, hypervisor) == before
                    }
                    #expect(bystander.failureCount == 0, "step \(step), \(result.last)")
                    if result.code == 0 { break }
                    #expect(result.code == 128 + SIGKILL && result.steps.count == step, "step \(step): \(result)")
                    step += 1
                }
                #expect(step > Self.required(of: victim).count * 2, "only \(step) steps were found")
                let rounds = bystander.rounds
                try await scene.until("the bystanders go on") { zip(bystander.rounds, rounds).allSatisfy { $0 > $1 } }
                #expect(await bystander.end { _ in .close } == [])
                await bystander.leave()
            }
        }

        /// Both the request and its answer are steps of their own, before and after.
        private static func required(of victim: Victim) -> [String] {
            var names = ["hello", "join", "queryCommonCEC", "createSMB", "bind", "accept", "report", "destroy", "unbindBuffer"]
                .flatMap { ["send-\($0)", "sent-\($0)", "answered-\($0)"] }
            names += ["map", "mapped", "map-pair", "publish", "published", "consume", "consumed", "end", "ended"]
            return names + ["detached", "closed"]
        }

        struct Step {
            var name: String
            var value: Int
        }

        struct Outcome: CustomStringConvertible {
            var code: Int32
            var steps: [Step]
            var last: String { self.steps.last.map { "\($0.name) \($0.value)" } ?? "-" }
            var description: String { "ended with \(self.code) after \(self.steps.count) steps, the last: \(self.last)" }
            /// How much the victim had published: the line is written when it has happened.
            var publishedByteCount: Int { self.steps.last { $0.name == "published" }?.value ?? 0 }
        }

        /// One exchange in both directions, in which the victim dies at a step.
        private static func run(_ scene: Scene, _ victim: Victim, step: Int?) async throws -> Outcome {
            let log = scene.path("steps")
            try? FileManager.default.removeItem(atPath: log)
            var fault = ["SMC_FAULT_LOG": log]
            if let step { fault["SMC_FAULT_STEP"] = "\(step)" }
            let input = Program.Input.file(scene.path("input"))
            let common = ["--quiet", "--hypervisor", scene.socket, "--require", "shm"]
            let listener = try scene.start(
                Program.smc, ["listen", "--hypervisor", scene.socket, "--require", "shm", "127.0.0.1:0"], input: input,
                environment: victim == .listener ? fault : [:])
            guard let port = try? await listener.port() else {
                return try await Self.outcome(listener, log)  // It died before it listened.
            }
            let client = try scene.start(
                Program.smc, ["connect"] + common + ["127.0.0.1:\(port)"], input: input,
                environment: victim == .client ? fault : [:])
            _ = try await client.exit()
            if victim == .client {
                // A listener whose client died before it got a connection waits on; this one relieves it.
                let relief = try scene.start(Program.smc, ["connect"] + common + ["127.0.0.1:\(port)"])
                _ = try await relief.exit()
            }
            _ = try await listener.exit()
            let (dead, peer) = victim == .client ? (client, listener) : (listener, client)
            let outcome = try await Self.outcome(dead, log)
            let expected = try Data(contentsOf: URL(fileURLWithPath: scene.path("input")))
            let received = peer.outputData
            #expect(received == expected.prefix(outcome.publishedByteCount), "\(outcome); \(received.count) arrived")
            #expect(try await peer.exit() < 128, "the peer was killed too: \(outcome)")
            scene.forget(listener, client)
            return outcome
        }

        static func outcome(_ program: Program, _ log: String) async throws -> Outcome {
            let code = try await program.exit()
            let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
            let steps = lines.compactMap { line -> Step? in
                let fields = line.split(separator: " ")
                guard fields.count == 3, let value = Int(fields[2]) else { return nil }
                return Step(name: String(fields[1]), value: value)
            }
            return Outcome(code: code, steps: steps)
        }

        // MARK: Re-registering

        @Test func killedAtEveryStepOfReregistering() async throws {
            signal(SIGPIPE, SIG_IGN)  // The victim's standard input breaks.
            try await Scene.play(limit: 240) { scene in
                let whole = try await Self.reregister(scene, step: nil)
                #expect(whole.code == 0)
                for name in ["lost", "send-join", "sent-reregister", "answered-reregister", "answered-report", "published"] {
                    #expect(whole.steps.contains { $0.name == name }, "no step '\(name)': the test would prove little")
                }
                var step = 1
                while true {
                    let result = try await Self.reregister(scene, step: step)
                    if result.code == 0 { break }
                    #expect(result.code == 128 + SIGKILL && result.steps.count == step, "step \(step): \(result)")
                    step += 1
                }
                #expect(step > 20, "only \(step) steps were found")
            }
        }

        private static func reregister(_ scene: Scene, step: Int?) async throws -> Outcome {
            let log = scene.path("steps")
            try? FileManager.default.removeItem(atPath: log)
            var fault = ["SMC_FAULT_LOG": log, "SMC_FAULT_FROM": "lost"]
            if let step { fault["SMC_FAULT_STEP"] = "\(step)" }
            let first = try await scene.hypervisor(pool: "4M")
            let common = ["--hypervisor", scene.socket, "--require", "shm"]
            let listener = try scene.start(Program.smc, ["listen"] + common + ["127.0.0.1:0"])
            let port = try await listener.port()
            let victim = try scene.start(
                Program.smc, ["connect", "--quiet"] + common + ["127.0.0.1:\(port)"], input: .pipe, environment: fault)
            try victim.write([UInt8](repeating: 1, count: 1000))
            try await scene.until("the stream flows") { listener.outputData.count == 1000 }
            first.send(SIGKILL)
            _ = try await first.exit()
            let second = try await scene.hypervisor(pool: "4M")
            try await scene.until("the victim has re-registered, or is dead") {
                guard victim.isRunning else { return true }
                let books = try ReregistrationTests.books(scene)
                return books.partitions.contains { $0.processID == victim.processID } && books.connections.count == 2
            }
            // What it publishes now the peer must get as well, unless it dies before.
            try? victim.write([UInt8](repeating: 2, count: 500))
            try? victim.closeInput()
            let outcome: Outcome
            do {
                outcome = try await Self.outcome(victim, log)
            }
            #expect(try await listener.exit() < 128, "\(outcome)")
            let published = max(1000, outcome.publishedByteCount)
            let received = listener.outputData
            #expect(received.count == published, "\(outcome)")
            #expect(received.dropFirst(1000).allSatisfy { $0 == 2 })
            try await scene.until("all is given back, \(outcome)") {
                let books = try ReregistrationTests.books(scene)
                let blockCount = books.pools.reduce(0) { $0 + $1.blockCount }
                return books.smbs.isEmpty && books.partitions.isEmpty && books.vlans.allSatisfy { $0.usedByteCount == 0 }
                    && ReregistrationTests.memoryFiles(of: second.processID) == blockCount
            }
            second.send(SIGTERM)
            _ = try await second.exit()
            scene.forget(first, second, listener, victim)
            return outcome
        }
    }

    /// What a victim must leave as it was: the books, and the hypervisor's descriptors.
    private struct Remains: Equatable {
        var pools: [PoolStatus]
        var vlans: [VLANStatus]
        var partitions: [PartitionStatus]
        var smbs: [SMBStatus]
        var connections: [ConnectionStatus]
        var descriptorCount: Int

        init(_ scene: Scene, _ hypervisor: Program) throws {
            let session = try HypervisorSession.connect(socketPath: scene.socket)
            let books = try session.status()
            self.pools = books.pools
            self.vlans = books.vlans
            self.partitions = books.partitions
            self.smbs = books.smbs
            self.connections = books.connections
            self.descriptorCount = hypervisor.descriptorCount
            withExtendedLifetime(session) {}
        }
    }
#endif
