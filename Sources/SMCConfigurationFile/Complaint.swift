/// One thing that is wrong with a configuration file, where, and what to do about it.
package struct Complaint: Hashable, Sendable {
    /// Counted from 1.
    package var line: Int
    /// Counted from 1, in Unicode scalars.
    package var column: Int
    package var problem: String
    package var advice: String

    package init(line: Int, column: Int, problem: String, advice: String) {
        self.line = line
        self.column = column
        self.problem = problem
        self.advice = advice
    }
}

/// Why a configuration file cannot be used: all complaints at once, in the order of the file.
package struct ConfigurationFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    package var complaints: [Complaint]

    /// `FILE:LINE:COLUMN: problem; advice`, one line each.
    package var description: String {
        self.complaints.map { "\(self.file):\($0.line):\($0.column): \($0.problem); \($0.advice)" }
            .joined(separator: "\n")
    }
}

/// Words that somebody may have meant.
enum Spelling {
    /// The known word that is nearest to a wrong one, if any is near enough to be meant.
    static func nearest(to word: String, in known: [String]) -> String? {
        let candidates = known.map { (word: $0, distance: Self.distance(word.lowercased(), $0)) }
        guard let best = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, best.word.count / 2) ? best.word : nil
    }

    /// Letters that must be added, removed or changed (Levenshtein).
    static func distance(_ one: String, _ other: String) -> Int {
        let other = Array(other)
        var row = Array(0...other.count)
        for (index, letter) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in other.indices {
                let change = diagonal + (letter == other[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(change, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }

    /// `a, b or c`.
    static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}
