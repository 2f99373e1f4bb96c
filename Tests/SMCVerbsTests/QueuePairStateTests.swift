import SMCVerbs
import Testing

@Suite struct QueuePairStateTests {
    /// Every pair, written out, so that a change of the table shows as a change here.
    @Test func tableOfMoves() {
        let expected: [QueuePairState: String] = [
            .reset: "INIT",
            .initialized: "ERROR RTR",
            .readyToReceive: "ERROR RTS",
            .readyToSend: "ERROR",
            .error: "ERROR",
        ]
        for from in QueuePairState.allCases {
            var allowed: [String] = []
            for to in QueuePairState.allCases {
                do throws(VerbsError) {
                    try from.checkMove(to: to)
                    allowed.append(to.description)
                } catch {
                    #expect(error.reason == .illegalTransition(from: from, to: to))
                    #expect(error.description.contains("from \(from) to \(to)"))
                }
            }
            #expect(allowed.sorted().joined(separator: " ") == expected[from])
        }
    }
}
