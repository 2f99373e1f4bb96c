import Foundation
import Testing

/// What the compiler keeps users from: spans that outlive their closure.
@Suite(.timeLimit(.minutes(3))) struct MisuseTests {
    /// What a program does with a connection, and a part of what the compiler says; nil when it is right.
    static let snippets: [(code: String, complaint: String?)] = [
        (
            """
            var sum = 0
            _ = try connection.receiveBlocking { bytes in sum += bytes.byteCount; return bytes.byteCount }
            try connection.sendBlocking(reserving: 8) { room in room.append(1, as: UInt8.self) }
            _ = try connection.receiveMessageBlocking { message in sum += message.byteCount }
            print(sum)
            """, nil
        ),
        (
            """
            let other = [UInt8](repeating: 0, count: 3)
            var kept = other.span.bytes
            _ = try connection.receiveBlocking { bytes in kept = bytes; return 1 }
            print(kept.byteCount)
            """, "escapes its scope"
        ),
        (
            """
            let other = [UInt8](repeating: 0, count: 3)
            var kept = other.span.bytes
            _ = try connection.receiveMessageBlocking { message in kept = message }
            print(kept.byteCount)
            """, "escapes its scope"
        ),
        ("try connection.sendBlocking(reserving: 8) { room in Task { room.append(1, as: UInt8.self) } }", "inout"),
        ("var all: [RawSpan] = []\n_ = try connection.receiveMessageBlocking { all.append($0) }", "Escapable"),
    ]

    @Test(arguments: snippets) func spansEndWithTheirClosure(code: String, complaint: String?) throws {
        let (status, output) = try Self.compile(
            "import SMC\nfunc use(_ connection: Connection) throws {\n\(code)\n}\n")
        if let complaint {
            #expect(status != 0 && output.contains(complaint), "it compiled, or:\n\(output)")
        } else {
            #expect(status == 0, "\(output)")
        }
    }

    /// Runs the compiler as far as it checks lifetimes, against the modules that the tests are built with.
    private static func compile(_ source: String) throws -> (status: Int32, output: String) {
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let products = URL(fileURLWithPath: bundle).deletingLastPathComponent()
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("misuse-\(UUID().uuidString).swift")
        try Data(source.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let compiler = Foundation.Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var arguments = ["swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6"]
        arguments += ["-I", products.appendingPathComponent("Modules").path]
        arguments += ["-Xcc", "-fmodule-map-file=" + products.path + "/CSMCShims.build/module.modulemap"]
        for folder in ["Sources/CSMCShims/include", "Modules/CIBVerbs", "Modules/CRDMACM"] {
            arguments += ["-I", root.appendingPathComponent(folder).path]
        }
        compiler.arguments = arguments + [file.path]
        let pipe = Pipe()
        compiler.standardOutput = pipe
        compiler.standardError = pipe
        try compiler.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        compiler.waitUntilExit()
        return (compiler.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
