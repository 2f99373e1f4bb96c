#if DEBUG
    import Foundation
    import SMCControl
    import SMCWire
    import Testing

    /// A partition is killed at every single step that it takes: one run for each, several runs side by side. Release
    /// builds have no steps to be killed at.
    @Suite struct KilledPartitionTests {
        enum Victim: String, CaseIterable {
            /// Ends with its connection: leaving gives all back.
            case client
            /// Lives on after its connection, which it gives back by itself.
            case listener

            /// Steps without which the test would prove little. A request and its answer are steps of their own.
            fileprivate var required: [String] {
                var requests = ["hello", "join", "queryCommonCEC", "createSMB", "bind", "accept"]
                if self == .listener { requests += ["destroy", "unbindBuffer", "report", "reportClosed"] }
                var names = requests.flatMap { ["send-\($0)", "sent-\($0)", "answered-\($0)"] }
                names += ["map", "mapped", "map-pair", "publish", "published", "consume", "consumed", "end", "ended"]
                return self == .listener ? names + ["detached", "closed"] : names
            }
        }

        /// What is sent to the peer of a victim: more than one store.
        private static let byteCount = 150_000
        private static let runsSideBySide = 6

        @Test(arguments: Victim.allCases) func killedAtEveryStep(victim: Victim) async throws {
            try await Scene.play(limit: 200) { scene in
                let hypervisor = try await scene.hypervisor(pool: "32M")
                let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
                let bystander = try await EchoClient(scene, port: echo.port(), count: 2)
                try scene.writeRandom("input", byteCount: Self.byteCount)
                // The bystanders' second connection has let the hypervisor make what it holds in reserve.
                let before = try Remains(scene, hypervisor)
                // Once to the end: what a victim does when nobody kills it.
                let whole = try await Self.run(scene, victim, step: nil)
                #expect(!whole.isKilled)
                for name in victim.required {
                    #expect(whole.steps.contains { $0.name == name }, "no step '\(name)'")
                }
                let count = try await Self.killAtEach { step in
                    try await Self.run(scene, victim, step: step)
                } afterwards: { outcomes in
                    try await scene.until("all is as before, after \(outcomes)") {
                        try Remains(scene, hypervisor).isNoMore(than: before)
                    }
                    #expect(bystander.failureCount == 0, "after \(outcomes)")
                }
                #expect(count >= victim.required.count, "only \(count) steps were found")
                let rounds = bystander.rounds
                try await scene.until("the bystanders go on") { zip(bystander.rounds, rounds).allSatisfy { $0 > $1 } }
                #expect(await bystander.end { _ in .close } == [])
                await bystander.leave()
            }
        }

        /// Runs and kills at the first step, the second, and so on, until no run gets as far as the step that it is to be
        /// killed at.
        ///
        /// - Returns: how many steps were found.
        private static func killAtEach(
            _ run: @escaping @Sendable (Int) async throws -> Outcome,
            afterwards: ([Outcome]) async throws -> Void
        ) async throws -> Int {
            var first = 1
            var killed = 0
            while true {
                let steps = first..<first + Self.runsSideBySide
                let outcomes = try await withThrowingTaskGroup(of: Outcome.self) { group in
                    for step in steps { group.addTask { try await run(step) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                for outcome in outcomes where outcome.isKilled {
                    #expect(outcome.steps.count == outcome.step, "\(outcome)")
                }
                try await afterwards(outcomes)
                let count = outcomes.count { $0.isKilled }
                killed += count
                if count == 0 { return killed }
                first = steps.upperBound
            }
        }

        struct Step {
            var name: String
            var value: Int
        }

        struct Outcome: CustomStringConvertible, Sendable {
            var step: Int?
            var isKilled: Bool
            var steps: [Step]
            /// How much the victim had published. The line is written when it has happened; a victim that another of its
            /// threads killed meanwhile may have published what it was about to.
            var publishedByteCounts: ClosedRange<Int> {
                let least = self.steps.last { $0.name == "published" }?.value ?? 0
                return least...max(least, self.steps.last { $0.name == "publish" }?.value ?? 0)
            }

            /// Whether so many bytes are all that the victim had published, and no others.
            func isAll(_ byteCount: Int) -> Bool {
                let (least, most) = (self.publishedByteCounts.lowerBound, self.publishedByteCounts.upperBound)
                return byteCount == least || byteCount == most && self.steps.last?.name != "publish"
            }

            var description: String {
                let last = self.steps.last.map { "\($0.name) \($0.value)" } ?? "-"
                return "\(self.isKilled ? "killed" : "not killed") at step \(self.steps.count), \(last)"
            }
        }

        private static func environment(_ log: String, _ step: Int?) -> [String: String] {
            var environment = ["SMC_FAULT_LOG": log]
            if let step { environment["SMC_FAULT_STEP"] = "\(step)" }
            return environment
        }

        private static func steps(_ log: String) -> [Step] {
            let lines = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n") ?? []
            return lines.compactMap { line -> Step? in
                let fields = line.split(separator: " ")
                guard fields.count == 3, let value = Int(fields[2]) else { return nil }
                return Step(name: String(fields[1]), value: value)
            }
        }

        /// One exchange in both directions, in which the victim dies at a step.
        private static func run(_ scene: Scene, _ victim: Victim, step: Int?) async throws -> Outcome {
            let log = scene.path("steps-\(step ?? 0)")
            let fault = Self.environment(log, step)
            let input = Program.Input.file(scene.path("input"))
            let common = ["--quiet", "--hypervisor", scene.socket, "--require", "shm"]
            let isEcho = victim == .listener ? ["--echo"] : []
            let listener = try scene.start(
                Program.smc, ["listen", "--hypervisor", scene.socket, "--require", "shm"] + isEcho + ["127.0.0.1:0"],
                input: input, environment: victim == .listener ? fault : [:])
            guard let port = try? await listener.port() else {
                let code = try await listener.exit()  // It died before it listened.
                return Outcome(step: step, isKilled: code == 128 + SIGKILL, steps: Self.steps(log))
            }
            let client = try scene.start(
                Program.smc, ["connect"] + common + ["127.0.0.1:\(port)"], input: input,
                environment: victim == .client ? fault : [:])
            let clientCode = try await client.exit()
            switch victim {
            case .client:
                // A listener whose client died before it got a connection waits on; this one relieves it.
                let relief = try scene.start(Program.smc, ["connect"] + common + ["127.0.0.1:\(port)"])
                _ = try await relief.exit()
                scene.forget(relief)
            case .listener:
                try await scene.until("the listener is dead, or has given all back") {
                    !listener.isRunning || Self.steps(log).contains { $0.name == "answered-reportClosed" }
                }
                listener.send(SIGTERM)
            }
            let listenerCode = try await listener.exit()
            let (code, peer, peerCode) =
                victim == .client ? (clientCode, listener, listenerCode) : (listenerCode, client, clientCode)
            let outcome = Outcome(step: step, isKilled: code == 128 + SIGKILL, steps: Self.steps(log))
            let expected = try Data(contentsOf: URL(fileURLWithPath: scene.path("input")))
            let received = peer.outputData
            let isIntact = outcome.isAll(received.count) && received == expected.prefix(received.count)
            #expect(isIntact, "\(outcome): \(received.count) of \(outcome.publishedByteCounts); \(peer.summary)")
            #expect(peerCode < 128, "the peer was killed too: \(outcome); \(peer.summary)")
            scene.forget(listener, client)
            try? FileManager.default.removeItem(atPath: log)
            return outcome
        }

        // MARK: Re-registering

        @Test func killedAtEveryStepOfReregistering() async throws {
            signal(SIGPIPE, SIG_IGN)  // The victim's standard input breaks.
            try await Scene.play(limit: 200) { scene in
                let required = [
                    "lost", "send-join", "sent-reregister", "answered-reregister", "answered-report", "published",
                ]
                let whole = try await Reregistering(scene, steps: 0..<1)
                let outcome = try #require(try await whole.play().first)
                #expect(!outcome.isKilled)
                for name in required {
                    #expect(outcome.steps.contains { $0.name == name }, "no step '\(name)'")
                }
                var first = 1
                var killed = 0
                while true {
                    let steps = first..<first + 2 * Self.runsSideBySide
                    let outcomes = try await Reregistering(scene, steps: steps).play()
                    for outcome in outcomes where outcome.isKilled {
                        #expect(outcome.steps.count == outcome.step, "\(outcome)")
                    }
                    let count = outcomes.count { $0.isKilled }
                    killed += count
                    if count == 0 { break }
                    first = steps.upperBound
                }
                #expect(killed > 2 * required.count, "only \(killed) steps were found")
            }
        }

        /// Several victims of one hypervisor, which dies, and with whose successor they re-register.
        private struct Reregistering {
            struct Pair {
                let step: Int
                let log: String
                let listener: Program
                let victim: Program
            }

            let scene: Scene
            let first: Program
            var pairs: [Pair] = []

            init(_ scene: Scene, steps: Range<Int>) async throws {
                self.scene = scene
                self.first = try await scene.hypervisor(pool: "16M")
                let common = ["--hypervisor", scene.socket, "--require", "shm"]
                for step in steps {
                    let log = scene.path("steps-\(step)")
                    var fault = KilledPartitionTests.environment(log, step == 0 ? nil : step)
                    fault["SMC_FAULT_FROM"] = "lost"
                    let listener = try scene.start(Program.smc, ["listen"] + common + ["127.0.0.1:0"])
                    let victim = try await scene.start(
                        Program.smc, ["connect", "--quiet"] + common + ["127.0.0.1:\(listener.port())"], input: .pipe,
                        environment: fault)
                    try victim.write([UInt8](repeating: 1, count: 1000))
                    self.pairs.append(Pair(step: step, log: log, listener: listener, victim: victim))
                }
                for pair in self.pairs {
                    try await scene.until("the stream flows") { pair.listener.outputData.count == 1000 }
                }
            }

            func play() async throws -> [Outcome] {
                self.first.send(SIGKILL)
                _ = try await self.first.exit()
                let second = try await self.scene.hypervisor(pool: "16M")
                try await self.scene.until("all have re-registered, or are dead") {
                    let books = try ReregistrationTests.books(self.scene)
                    return self.pairs.allSatisfy { pair in
                        let partitions = books.partitions.map(\.processID)
                        return !pair.victim.isRunning
                            || partitions.contains(pair.victim.processID)
                                && partitions.contains(pair.listener.processID)
                    }
                }
                var outcomes: [Outcome] = []
                for pair in self.pairs { outcomes.append(try await self.end(pair)) }
                try await self.scene.until("all is given back, after \(outcomes)") {
                    let books = try ReregistrationTests.books(self.scene)
                    let blockCount = books.pools.reduce(0) { $0 + $1.blockCount }
                    return books.smbs.isEmpty && books.partitions.isEmpty
                        && books.vlans.allSatisfy { $0.usedByteCount == 0 }
                        && ReregistrationTests.memoryFiles(of: second.processID) == blockCount
                }
                second.send(SIGTERM)
                _ = try await second.exit()
                self.scene.forget(self.first, second)
                return outcomes
            }

            /// What a victim publishes now its peer must get as well, unless the victim dies before.
            private func end(_ pair: Pair) async throws -> Outcome {
                try? pair.victim.write([UInt8](repeating: 2, count: 500))
                try? pair.victim.closeInput()
                let code = try await pair.victim.exit()
                let listenerCode = try await pair.listener.exit()
                let outcome = Outcome(
                    step: pair.step, isKilled: code == 128 + SIGKILL, steps: KilledPartitionTests.steps(pair.log))
                #expect(listenerCode < 128, "\(outcome)")
                let received = pair.listener.outputData
                let isIntact = outcome.isAll(received.count) || received.count == 1000 && outcome.isAll(0)
                #expect(isIntact, "\(outcome): \(received.count); \(pair.listener.summary)")
                #expect(received.dropFirst(1000).allSatisfy { $0 == 2 })
                self.scene.forget(pair.listener, pair.victim)
                try? FileManager.default.removeItem(atPath: pair.log)
                return outcome
            }
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

        /// What it holds in reserve may be missing for a moment.
        func isNoMore(than before: Remains) -> Bool {
            guard self.descriptorCount <= before.descriptorCount else { return false }
            var same = self
            same.descriptorCount = before.descriptorCount
            return same == before
        }
    }
#endif
