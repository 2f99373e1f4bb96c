import Foundation
import SMCHypervisor
import SMCTesting
import SMCWire
import Testing

/// Random instructions of many callers, the rightful and the others, against a second set of books.
@Suite(.serialized) struct HypervisorModelTests {
    static let stepsPerSeed = 250_000
    /// Steps of one model: long enough to fill everything, short enough to be shrunk.
    static let stepsPerRun = 1000

    /// Each seed is 250,000 steps; the last one is drawn anew each time.
    @Test(arguments: [1, 2, 3, UInt64.random(in: 4...UInt64.max)]) func randomInstructionsKeepTheInvariants(
        seed: UInt64
    ) async {
        print("HypervisorModelTests.randomInstructionsKeepTheInvariants: seed \(seed)")
        // On a thread of its own: it would keep other tests from those that all tasks share.
        let result = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: Self.run(seed)) }
        }
        if let failure = result.failure { Issue.record("\(failure)") }
        guard result.failure == nil else { return }
        let (counts, refusedCount, endedCount) = (result.counts, result.refusedCount, result.endedCount)
        // The steps must get somewhere, or nothing was tried: each kind of instruction is granted often.
        for action: AuditRecord.Action in [
            .join, .establish, .withdraw, .create, .bind, .accept, .reject, .unbind, .renew, .destroy, .createVLAN,
            .changeVLAN, .destroyVLAN, .setFunction, .setSlice, .createPartition, .changePartition, .destroyPartition,
            .authorise, .revoke, .growPool, .shrinkPool,
        ] {
            #expect(counts[action, default: 0] > 50, "\(action) was hardly ever granted")
        }
        #expect(refusedCount > Self.stepsPerSeed / 10, "hardly anything was refused")
        #expect(endedCount > 50, "there was hardly ever too little memory to replace what a peer had")
    }

    private struct Result: Sendable {
        var failure: String?
        var counts: [AuditRecord.Action: Int] = [:]
        var refusedCount = 0
        var endedCount = 0
    }

    private static func run(_ seed: UInt64) -> Result {
        var result = Result()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<Self.stepsPerSeed / Self.stepsPerRun {
            let modelSeed = random.next()
            let steps = (0..<Self.stepsPerRun).map { _ in ModelStep.random(using: &random) }
            var run = ModelRun(seed: modelSeed)
            for (index, step) in steps.enumerated() where run.failure == nil {
                run.run(step)
                if index % 32 == 0 { run.checkBooks() }
            }
            run.closeAll()
            result.counts.merge(run.counts) { $0 + $1 }
            result.refusedCount += run.refusedCount
            result.endedCount += run.endedCount
            if let failure = run.failure {
                result.failure = "\(failure)\n\(Self.counterExample(steps, modelSeed))"
                break
            }
        }
        return result
    }

    /// The shortest list of steps that still fails, and what it does.
    static func counterExample(_ steps: [ModelStep], _ seed: UInt64) -> String {
        let short = shrink(steps) { ModelRun.failure(of: $0, seed: seed) != nil }
        var run = ModelRun(seed: seed, isLogging: true)
        for step in short {
            run.run(step)
            run.checkBooks()
        }
        run.closeAll()
        let list = short.map { "    \($0)," }.joined(separator: "\n")
        return """
            fails as well with \(short.count) of \(steps.count) steps: \(run.failure ?? "(not any more)")
            ModelRun.failure(of: [
            \(list)
            ], seed: \(seed))
            which is:
            \(run.log.joined(separator: "\n"))
            """
    }

    /// The tool that shortens counter-examples, on a list of which it is known what fails.
    @Test func failingListsAreShrunk() {
        var random = SeededGenerator(seed: 5)
        let steps = (0..<500).map { _ in ModelStep.random(using: &random) }
        let culprits = [steps[17], steps[300], steps[444]]
        let short = shrink(steps) { list in culprits.allSatisfy { list.contains($0) } }
        #expect(short == culprits)
    }
}
