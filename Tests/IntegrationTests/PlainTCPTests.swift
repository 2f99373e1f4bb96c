import Foundation
import Testing

/// Programs that know nothing of SMC, or that say so late.
@Suite struct PlainTCPTests {
    @Test func aPlainClientIsServed() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try Data("answer".utf8).write(to: URL(fileURLWithPath: scene.path("in")))
            let listener = try scene.smc("listen", "--json", "127.0.0.1:0", input: .file(scene.path("in")))
            let client = try await RawSocket.connect(port: listener.port())
            try await client.write(Array("question".utf8))
            client.finishWriting()
            #expect(try await client.readToEnd() == Array("answer".utf8))
            #expect(try await listener.exit() == 0)
            #expect(listener.output == "question")
            #expect(try listener.json()["path"] == .text("tcp"))
            #expect(try listener.json()["reason"]?.text?.contains("the client speaks plain TCP") == true)
        }
    }

    @Test func aPlainClientThatWaitsForTheServerIsServed() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try Data("220 welcome".utf8).write(to: URL(fileURLWithPath: scene.path("in")))
            let listener = try scene.smc("listen", "--json", "127.0.0.1:0", input: .file(scene.path("in")))
            let client = try await RawSocket.connect(port: listener.port())
            #expect(try await client.read(exactly: 11) == Array("220 welcome".utf8))
            try await client.write(Array("HELO".utf8))
            client.finishWriting()
            #expect(try await client.readToEnd() == [])
            #expect(try await listener.exit() == 0)
            #expect(listener.output == "HELO")
            #expect(try listener.json()["reason"]?.text?.contains("the client said nothing") == true)
        }
    }

    @Test func aListenerThatRequiresTCPDeclinesSMC() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            try scene.writeRandom("in", byteCount: 3_000_000)
            let listener = try scene.smc("listen", "--require", "tcp", "--json", "127.0.0.1:0")
            let port = try await listener.port()
            let client = try scene.smc("connect", "--json", "127.0.0.1:\(port)", input: .file(scene.path("in")))
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            #expect(try await scene.digest(listener.outputPath) == scene.digest(scene.path("in")))
            #expect(try client.json()["path"] == .text("tcp"))
            #expect(try client.json()["reason"]?.text?.contains("the peer declined") == true)
            #expect(try listener.json()["path"] == .text("tcp"))
        }
    }

    @Test func aClientThatRequiresTCPReachesAPlainServer() async throws {
        try await Scene.play { scene in
            let server = try RawSocket.listen()
            let client = try scene.smc(
                "connect", "--require", "tcp", "--json", "127.0.0.1:\(server.port)", input: .pipe)
            let peer = try await server.accept()
            try client.write("GET /".utf8)
            // Nothing of SMC is said.
            #expect(try await peer.read(exactly: 5) == Array("GET /".utf8))
            try await peer.write(Array("200".utf8))
            try client.closeInput()
            #expect(try await peer.readToEnd() == [])
            peer.finishWriting()
            #expect(try await client.exit() == 0)
            #expect(client.output == "200")
        }
    }

    /// Its Proposal comes when the listener already took it for a plain TCP client.
    @Test func aLateProposalIsDeclined() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let listener = try scene.smc("listen", "--json", "127.0.0.1:0", input: .pipe)
            let relay = try await Relay(to: listener.port())
            let client = try scene.smc("connect", "--json", "127.0.0.1:\(relay.port)", input: .pipe)
            async let relayed: Void = relay.serve { message, bytes in
                if message == .proposal { try await SceneThread.shared.sleep(milliseconds: 2000) }
                return bytes
            }
            try client.write("question".utf8)
            try client.closeInput()
            try await scene.until("the question is there") { listener.output == "question" }
            try listener.write("answer".utf8)
            try listener.closeInput()
            #expect(try await client.exit() == 0)
            #expect(try await listener.exit() == 0)
            try await relayed
            #expect(listener.output == "question")
            #expect(client.output == "answer")
            #expect(try client.json()["path"] == .text("tcp"))
        }
    }
}
