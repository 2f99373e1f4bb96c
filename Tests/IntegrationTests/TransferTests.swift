import Foundation
import Testing

/// Bytes through `smc listen` and `smc connect`, as users pipe them.
@Suite struct TransferTests {
    /// Larger when the environment asks for it, as it takes long on a slow machine.
    private static let largeByteCount =
        (ProcessInfo.processInfo.environment["SMC_TEST_GIBIBYTE"] == nil ? 64 : 1024) * 1_048_576

    @Test func aLargeStreamArrivesUnchangedThroughSharedMemory() async throws {
        try await Scene.play(limit: 120) { scene in
            try await scene.hypervisor()
            try scene.writeRandom("in", byteCount: Self.largeByteCount)
            let (listener, client) = try await scene.pair(
                listenerInput: .nothing, clientInput: .file(scene.path("in")), options: ["--json"])
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(try await scene.digest(listener.outputPath) == scene.digest(scene.path("in")))
            for (program, sent, received) in [(client, Self.largeByteCount, 0), (listener, 0, Self.largeByteCount)] {
                let json = try program.json()
                #expect(json.keys.sorted() == ["bytesReceived", "bytesSent", "path", "peer", "reason", "seconds"])
                #expect(json["path"] == .text("shared-memory"))
                #expect(json["reason"] == .null)
                #expect(json["bytesSent"] == .number(Double(sent)))
                #expect(json["bytesReceived"] == .number(Double(received)))
                #expect(json["peer"]?.text?.hasPrefix("127.0.0.1:") == true)
                guard case .number(let seconds)? = json["seconds"] else {
                    Issue.record("seconds: \(String(describing: json["seconds"]))")
                    continue
                }
                #expect(seconds > 0)
            }
        }
    }

    @Test(arguments: ["shm", "tcp"])
    func bothDirectionsAtOnce(path: String) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try scene.writeRandom("a", byteCount: 8_000_001)
            try scene.writeRandom("b", byteCount: 7_999_999)
            let (listener, client) = try await scene.pair(
                listenerInput: .file(scene.path("a")), clientInput: .file(scene.path("b")),
                options: ["--require", path])
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(try await scene.digest(client.outputPath) == scene.digest(scene.path("a")))
            #expect(try await scene.digest(listener.outputPath) == scene.digest(scene.path("b")))
        }
    }

    @Test(arguments: ["shm", "tcp"], [true, false])
    func halfCloseInEitherOrder(path: String, isClientFirst: Bool) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let (listener, client) = try await scene.pair(
                listenerInput: .pipe, clientInput: .pipe, options: ["--require", path])
            let (first, second) = isClientFirst ? (client, listener) : (listener, client)
            try first.write("question".utf8)
            try first.closeInput()
            try await scene.until("the question is there") { second.output == "question" }
            // The other direction lives on.
            for part in ["the ", "long ", "answer"] {
                try second.write(part.utf8)
                try await scene.until("a part of the answer is there") { first.output.hasSuffix(part) }
            }
            #expect(first.isRunning)
            #expect(second.isRunning)
            try second.closeInput()
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(first.output == "the long answer")
        }
    }

    @Test(arguments: ["shm", "tcp"], [0, 1])
    func theShortestStreams(path: String, byteCount: Int) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try scene.writeRandom("a", byteCount: byteCount)
            try scene.writeRandom("b", byteCount: byteCount)
            let (listener, client) = try await scene.pair(
                listenerInput: .file(scene.path("a")), clientInput: .file(scene.path("b")),
                options: ["--require", path, "--json"])
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(client.outputData == FileManager.default.contents(atPath: scene.path("a")))
            #expect(listener.outputData == FileManager.default.contents(atPath: scene.path("b")))
            #expect(try client.json()["bytesSent"] == .number(Double(byteCount)))
            #expect(try listener.json()["bytesReceived"] == .number(Double(byteCount)))
        }
    }

    @Test func noPayloadTravelsOnTheTCPSocketOfSharedMemory() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try scene.writeRandom("in", byteCount: 16_777_216)
            let listener = try scene.smc("listen", "--require", "shm", "127.0.0.1:0")
            let port = try await listener.port()
            let trace = scene.path("trace")
            let calls = "read,write,readv,writev,recvfrom,sendto,recvmsg,sendmsg,splice,sendfile"
            let client = try scene.start(
                "/usr/bin/strace",
                [
                    "-f", "-yy", "-e", "trace=\(calls)", "-e", "signal=none", "-o", trace, Program.smc, "connect",
                    "--hypervisor", scene.socket, "127.0.0.1:\(port)",
                ], input: .file(scene.path("in")))
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(try await scene.digest(listener.outputPath) == scene.digest(scene.path("in")))
            let lines = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n")
            let onTCP = lines.filter { $0.contains("<TCP:") || $0.contains("<TCPv6:") }
            let byteCount = onTCP.compactMap { line in
                line.split(separator: " ").last.flatMap { Int($0) }.map { max(0, $0) }
            }.reduce(0, +)
            // The handshake is there, so that we know that the trace was looked at; and nothing else is.
            #expect(byteCount > 100)
            #expect(byteCount < 2048)
        }
    }
}
