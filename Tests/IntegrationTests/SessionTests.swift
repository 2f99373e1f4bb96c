import Foundation
import Testing

/// `smc session`: the instructions of the seeds by hand.
@Suite struct SessionTests {
    /// A session that a test talks to.
    private struct Hand {
        let program: Program
        private let count = Count()

        private final class Count: @unchecked Sendable {
            // Sendable: only the scene's thread asks.
            var value = 0
        }

        init(_ scene: Scene) throws {
            self.program = try scene.start(Program.smc, ["session", "--socket", scene.socket], input: .pipe)
        }

        func ask(_ line: String, _ scene: Scene) async throws -> [String: JSONTree] {
            self.count.value += 1
            try self.program.write((line + "\n").utf8)
            var lines: [Substring] = []
            try await scene.until("an answer to '\(line)'") {
                lines = self.program.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
                return lines.count >= self.count.value
            }
            return try JSONDecoder().decode([String: JSONTree].self, from: Data(lines[self.count.value - 1].utf8))
        }
    }

    @Test func anSMBFromItsCreationToItsEnd() async throws {
        try await Scene.play { scene in
            try await scene.hypervisor(pool: "16M")
            let (owner, peer) = (try Hand(scene), try Hand(scene))
            let joined = try await owner.ask("join owner", scene)
            let mine = try #require(joined["addresses"]?.list.first?["smgid"]?.text)
            let its = try #require(try await peer.ask("join peer", scene)["addresses"]?.list.first?["smgid"]?.text)
            #expect(try await peer.ask("query \(mine)", scene)["common"] == .flag(true))
            #expect(try await owner.ask("create 16K", scene)["smb"] == .text("s1"))
            let bound = try await owner.ask("bind s1 \(its)", scene)
            let offer = try #require(bound["offer"]?.text)
            #expect(try await owner.ask("bindings s1", scene)["bindings"]?.list.first?["accepted"] == .flag(false))
            let accepted = try await peer.ask("accept \(offer) \(mine)", scene)
            #expect(accepted["smb"] == .text("p1"))

            #expect(try await peer.ask("write p1 4096 two words", scene)["done"] == .flag(true))
            #expect(try await owner.ask("read s1 4096 9", scene)["text"] == .text("two words"))
            #expect(try await peer.ask("compare-and-move p1 8192 0 7", scene)["original"] == .number(0))
            #expect(try await owner.ask("compare-and-move s1 8192 0 9", scene)["original"] == .number(7))
            #expect(try await peer.ask("signal p1", scene)["done"] == .flag(true))
            guard case .number(let pair)? = bound["pair"] else { throw Scene.Trouble(description: "no pair") }
            let bits = try await owner.ask("status-bits \(Int(pair))", scene)["bits"]
            #expect(bits?.list == [try #require(bound["bit"])])
            #expect(try await owner.ask("status-bits \(Int(pair))", scene)["bits"] == .list([]))

            // Rights end: the token that was good is worth nothing.
            #expect(try await owner.ask("unbind s1 \(its)", scene)["done"] == .flag(true))
            #expect(try await peer.ask("read p1 4096 9", scene)["code"] == .text("badToken"))
            #expect(try await owner.ask("destroy s1", scene)["done"] == .flag(true))
            #expect(try await peer.ask("reject \(offer) \(mine)", scene)["code"] == .text("badToken"))
            // What makes no sense is said, and harms nothing.
            for line in ["dance", "read", "read s9 0 1", "create much", "bind s1 here", "signal s1"] {
                let answer = try await owner.ask(line, scene)
                #expect(answer["code"] == .text("wrong-usage") && answer["error"]?.text?.isEmpty == false)
            }
            for hand in [owner, peer] {
                try hand.program.closeInput()
                #expect(try await hand.program.exit() == 7, "something was refused")
            }
            try await scene.until("all has come back") { try await scene.books().partitions.isEmpty }
        }
    }
}
