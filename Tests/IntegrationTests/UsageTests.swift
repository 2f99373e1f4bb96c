import Foundation
import Testing

/// What users do wrong, and what the machine around them does: a code and a line that helps, and no hang.
@Suite struct UsageTests {
    /// Arguments, and what the complaint must name.
    static let wrongArguments: [([String], String)] = [
        (["connect"], "endpoint"),
        (["connect", "localhost"], "localhost"),
        (["connect", "localhost:99999"], "99999"),
        (["connect", "localhost:-1"], "-1"),
        (["connect", "localhost:0"], "port 0"),
        (["connect", "fe80::1:7000"], "brackets"),
        (["connect", "--require", "fast", "localhost:7000"], "fast"),
        (["connect", "--timeout", "0", "localhost:7000"], "--timeout"),
        (["connect", "--vlan", "no spaces", "localhost:7000"], "no spaces"),
        (["connect", "--ueid", "lower case", "localhost:7000"], "lower case"),
        (["listen"], "endpoint"),
        (["listen", "seven"], "seven"),
        (["ping", "localhost:0"], "port 0"),
        (["ping", "--count", "0", "localhost:7000"], "--count"),
        (["ping", "--size", "1X", "localhost:7000"], "1X"),
        (["hypervisor", "--pool", "0"], "--pool"),
        (["hypervisor", "--vlan", "a b"], "a b"),
        (["shout"], "shout"),
    ]

    @Test(arguments: wrongArguments)
    func wrongUsage(arguments: [String], name: String) async throws {
        try await Scene.play { scene in
            let program = try scene.start(Program.smc, arguments, input: .pipe)
            #expect(try await program.exit() == 64)
            #expect(program.output.isEmpty)
            #expect(program.errorLines.first?.contains(name) == true, "\(program.errors)")
        }
    }

    @Test func anUnknownHost() async throws {
        try await Scene.play { scene in
            let client = try scene.smc("connect", "no-such-host.invalid:7000", hypervisor: "none", input: .pipe)
            try await scene.expectComplaint(client, code: 5, "no-such-host.invalid", "check")
        }
    }

    @Test(arguments: ["connect", "ping"])
    func aPortWhereNobodyListens(command: String) async throws {
        try await Scene.play { scene in
            let port = try RawSocket.unusedPort()
            let client = try scene.smc(command, "127.0.0.1:\(port)", hypervisor: "none", input: .pipe)
            try await scene.expectComplaint(
                client, code: 5, "127.0.0.1:\(port)", "nobody listens there")
        }
    }

    @Test func failuresAreJSONForThoseWhoAskForIt() async throws {
        try await Scene.play { scene in
            let port = try RawSocket.unusedPort()
            let client = try scene.smc("connect", "--json", "127.0.0.1:\(port)", hypervisor: "none")
            #expect(try await client.exit() == 5)
            #expect(try client.json()["code"] == .text("cannot-connect"))
            #expect(try client.json()["error"]?.text?.contains("127.0.0.1:\(port)") == true)
        }
    }

    @Test func aPortThatIsTaken() async throws {
        try await Scene.play { scene in
            let first = try scene.smc("listen", "127.0.0.1:0", hypervisor: "none")
            let port = try await first.port()
            let second = try scene.smc("listen", "127.0.0.1:\(port)", hypervisor: "none")
            try await scene.expectComplaint(second, code: 5, "127.0.0.1:\(port)", "in use", "another port")
        }
    }

    @Test func anAddressOfAnotherMachine() async throws {
        try await Scene.play { scene in
            let listener = try scene.smc("listen", "192.0.2.1:0", hypervisor: "none")
            try await scene.expectComplaint(listener, code: 5, "192.0.2.1:0", "Cannot assign")
        }
    }

    @Test(arguments: ["shm", "tcp"])
    func standardOutputThatNobodyReads(path: String) async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            // Nobody ends the input: the command must end by itself.
            let listener = try scene.smc(
                "listen", "--require", path, "127.0.0.1:0", input: .pipe, output: .brokenPipe)
            let port = try await listener.port()
            let client = try scene.smc(
                "connect", "--require", path, "127.0.0.1:\(port)", input: .file("/dev/zero"))
            try await scene.expectComplaint(listener, code: 1, "standard output", "Broken pipe")
            // Its peer hears of it.
            #expect(try await client.exit() == 4, "\(client.errors)")
        }
    }

    /// A descriptor of the standard streams that is free would be taken by the next socket, which would get the output.
    @Test func standardOutputThatIsClosed() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let listener = try scene.start(
                "/bin/sh",
                [
                    "-c", "exec \"$0\" \"$@\" >&-", Program.smc, "listen", "--hypervisor", scene.socket,
                    "127.0.0.1:0",
                ], input: .pipe)
            let port = try await listener.port()
            let client = try scene.smc("connect", "127.0.0.1:\(port)", input: .file("/dev/zero"))
            try await scene.expectComplaint(listener, code: 1, "standard output", "Bad file descriptor")
            #expect(try await client.exit() == 4, "\(client.errors)")
        }
    }

    @Test func standardInputThatIsADirectory() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor()
            let echo = try scene.smc("listen", "--echo", "127.0.0.1:0")
            let port = try await echo.port()
            let client = try scene.smc("connect", "127.0.0.1:\(port)", input: .file(scene.directory))
            try await scene.expectComplaint(client, code: 1, "standard input", "Is a directory")
        }
    }
}
