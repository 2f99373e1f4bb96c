import Foundation
import FuzzTargets
import Testing

/// Replays the inputs that fuzzing has collected: each reaches code that the others do not, or was a fault once.
@Suite struct ReplayTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "corpus")

    @Test(arguments: FuzzTarget.allCases) func theCorpusHoldsNoFault(_ target: FuzzTarget) throws {
        let folder = Self.folder.appending(path: target.rawValue)
        let inputs = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(inputs.count >= 10, "the corpus of \(target.rawValue) is not there")
        for input in inputs {
            let failure = target.run(Array(try Data(contentsOf: input)))
            #expect(failure == nil, "\(target.rawValue)/\(input.lastPathComponent)")
        }
    }
}
