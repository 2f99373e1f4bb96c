internal import Yams

/// Collects what is wrong while a file is read, so that all of it can be said at once.
final class Findings {
    private(set) var complaints: [Complaint] = []

    func add(_ mark: Mark?, _ problem: String, _ advice: String) {
        self.complaints.append(
            Complaint(line: mark?.line ?? 1, column: mark?.column ?? 1, problem: problem, advice: advice))
    }
}

/// A mapping of the file whose keys are known.
struct Section {
    /// What it is, for people: `pool "main"`.
    let title: String
    let mark: Mark?
    let findings: Findings
    private let entries: [String: Node]

    /// Complains about keys that are not known, with the one that was probably meant.
    init?(_ node: Node, title: String, keys known: [String], _ findings: Findings) {
        guard case .mapping(let mapping) = node else {
            findings.add(
                node.mark, "\(title) is not a list of keys with values",
                "write \(Spelling.list(known.map { "'\($0):'" })) below it, indented")
            return nil
        }
        var entries: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            if known.contains(name) {
                entries[name] = value
            } else {
                let meant = Spelling.nearest(to: name, in: known).map { "did you mean '\($0)'?" }
                findings.add(
                    key.mark, "\(title) has no key '\(name)'", meant ?? "it may have \(Spelling.list(known))")
            }
        }
        self.title = title
        self.mark = mapping.mark
        self.findings = findings
        self.entries = entries
    }

    /// The value of a key; nil when it is not there, or nothing stands behind it.
    func node(_ key: String) -> Node? {
        guard let node = self.entries[key] else { return nil }
        if let scalar = node.scalar, Self.isEmpty(scalar) { return nil }
        return node
    }

    private static func isEmpty(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null"].contains(scalar.string)
    }

    func complain(_ key: String, _ problem: String, _ advice: String) {
        self.findings.add(self.entries[key]?.mark ?? self.mark, problem, advice)
    }

    // MARK: Values

    /// Text that stands alone.
    func text(_ key: String) -> String? {
        guard let node = self.node(key) else { return nil }
        guard let scalar = node.scalar else {
            self.findings.add(node.mark, "'\(key)' of \(self.title) has more than one value", "give it one value")
            return nil
        }
        return scalar.string
    }

    func requiredText(_ key: String) -> String? {
        if self.node(key) == nil {
            self.findings.add(self.mark, "\(self.title) has no '\(key)'", "add '\(key):' to it")
        }
        return self.text(key)
    }

    func flag(_ key: String) -> Bool? {
        guard let text = self.text(key) else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        default:
            self.complain(key, "'\(key)' of \(self.title) is '\(text)'", "write true or false")
            return nil
        }
    }

    /// A number within bounds.
    func number(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = self.text(key) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            self.complain(
                key, "'\(key)' of \(self.title) is '\(text)'",
                "write a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// Bytes: a number, alone or with K, M, G or T.
    func byteCount(_ key: String) -> Int? {
        guard let text = self.text(key) else { return nil }
        guard let count = ByteCountText.parse(text) else {
            self.complain(
                key, "'\(key)' of \(self.title) is '\(text)', which is no size",
                "write bytes, or a number with K, M, G or T, such as 256M")
            return nil
        }
        return count
    }

    /// One word of a few.
    func word<Word: RawRepresentable & CaseIterable>(_ key: String, _ type: Word.Type) -> Word?
    where Word.RawValue == String {
        guard let text = self.text(key) else { return nil }
        if let word = Word(rawValue: text) { return word }
        let known = Word.allCases.map(\.rawValue)
        let meant = Spelling.nearest(to: text, in: known).map { "did you mean \($0)?" }
        self.complain(
            key, "'\(key)' of \(self.title) is '\(text)'", meant ?? "write \(Spelling.list(known))")
        return nil
    }

    /// A list, or one value where a list of one is meant.
    func list(_ key: String) -> [Node] {
        guard let node = self.node(key) else { return [] }
        if case .sequence(let sequence) = node { return Array(sequence) }
        return [node]
    }

    /// Sections in a list, each titled by its name.
    func sections(_ key: String, of kind: String, keys: [String]) -> [Section] {
        self.list(key).compactMap { node in
            let name = node.mapping?.first { $0.key.scalar?.string == "name" }?.value.scalar?.string
            return Section(node, title: name.map { "\(kind) '\($0)'" } ?? kind, keys: keys, self.findings)
        }
    }
}

/// Sizes as people write them.
package enum ByteCountText {
    /// A number of bytes, alone or with K, M, G or T for powers of 1024; nil when it is neither, or not above 0.
    package static func parse(_ text: String) -> Int? {
        let factors = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let factor = text.last.flatMap { factors[$0.uppercased()] }
        let digits = factor == nil ? Substring(text) : text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            number > 0
        else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor ?? 1)
        return overflow ? nil : value
    }
}
