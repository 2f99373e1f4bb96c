import Foundation
import Testing

extension Scene {
    /// A listener for one connection, and a client that connects to it.
    func pair(
        listenerInput: Program.Input, clientInput: Program.Input, options: [String] = []
    ) async throws -> (listener: Program, client: Program) {
        let common = ["--hypervisor", self.socket] + options
        let listener = try self.start(Program.smc, ["listen"] + common + ["127.0.0.1:0"], input: listenerInput)
        let port = try await listener.port()
        let client = try self.start(Program.smc, ["connect"] + common + ["127.0.0.1:\(port)"], input: clientInput)
        return (listener, client)
    }

    /// A file with bytes that no other file has.
    func writeRandom(_ name: String, byteCount: Int) throws {
        let source = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom"))
        guard FileManager.default.createFile(atPath: self.path(name), contents: nil) else {
            throw Trouble(description: "cannot make \(name)")
        }
        let target = try FileHandle(forWritingTo: URL(fileURLWithPath: self.path(name)))
        defer {
            try? source.close()
            try? target.close()
        }
        var left = byteCount
        while left > 0, let bytes = try source.read(upToCount: min(left, 4_194_304)), !bytes.isEmpty {
            try target.write(contentsOf: bytes)
            left -= bytes.count
        }
    }

    /// SHA-256 of a file, by a program that others wrote.
    func digest(_ path: String) async throws -> String {
        let program = try self.start("/usr/bin/sha256sum", [path])
        guard try await program.exit() == 0, let digest = program.output.split(separator: " ").first else {
            throw Trouble(description: "no digest of \(path): \(program.errors)")
        }
        return String(digest)
    }

    /// Expects that a program has ended with a code and one line that contains all of `parts`.
    ///
    /// - Parameter prefix: how the complaint begins; other lines, such as where it listens, are not counted.
    func expectComplaint(
        _ program: Program, code: Int32, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(try await program.exit() == code, "\(program.errors)", sourceLocation: sourceLocation)
        let lines = program.errorLines.filter { !$0.contains("listening on ") }
        #expect(lines.count == 1, "one line, not: \(lines)", sourceLocation: sourceLocation)
        for part in parts {
            #expect(lines.first?.contains(part) == true, "\(lines) has no '\(part)'", sourceLocation: sourceLocation)
        }
    }
}
