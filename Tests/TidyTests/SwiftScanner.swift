/// Reads Swift source well enough to count braces: it knows comments, strings and string interpolation, but not regular
/// expression literals, whose braces must be balanced.
struct SwiftScanner {
    private let input: [UInt8]
    private var output: [UInt8] = []
    private var position = 0

    /// The code alone: comments and the contents of strings become blanks; lines stay where they are.
    static func code(of text: String) -> String {
        var scanner = SwiftScanner(input: Array(text.utf8))
        scanner.scanCode(untilParenthesis: false)
        return String(decoding: scanner.output, as: UTF8.self)
    }

    private init(input: [UInt8]) {
        self.input = input
    }

    private func isAhead(_ text: String) -> Bool {
        self.input[self.position...].starts(with: text.utf8)
    }

    private mutating func keep() {
        self.output.append(self.input[self.position])
        self.position += 1
    }

    private mutating func blank(_ count: Int = 1) {
        let end = min(self.input.count, self.position + count)
        while self.position < end {
            let byte = self.input[self.position]
            self.output.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
            self.position += 1
        }
    }

    /// - Parameter untilParenthesis: whether it ends behind the parenthesis that closes an interpolation.
    private mutating func scanCode(untilParenthesis: Bool) {
        var depth = 0
        while self.position < self.input.count {
            let byte = self.input[self.position]
            // Comments and strings begin with one of these; most bytes are none of them.
            if byte != UInt8(ascii: "/"), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "#") {
                self.keep()
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    if depth == 0, untilParenthesis { return }
                    depth -= 1
                }
            } else if self.isAhead("//") {
                let end = self.input[self.position...].firstIndex(of: UInt8(ascii: "\n")) ?? self.input.count
                self.blank(end - self.position)
            } else if self.isAhead("/*") {
                self.skipBlockComment()
            } else if let hashes = self.hashesOfString() {
                self.skipString(hashes)
            } else {
                self.keep()
            }
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if self.isAhead("/*") {
                depth += 1
                self.blank(2)
            } else if self.isAhead("*/") {
                depth -= 1
                self.blank(2)
            } else {
                self.blank()
            }
        } while depth > 0 && self.position < self.input.count
    }

    /// How many `#` a string that begins here has; nil when none begins.
    private func hashesOfString() -> Int? {
        let hashes = self.input[self.position...].prefix { $0 == UInt8(ascii: "#") }.count
        let next = self.position + hashes
        return next < self.input.count && self.input[next] == UInt8(ascii: "\"") ? hashes : nil
    }

    private mutating func skipString(_ hashes: Int) {
        let fence = String(repeating: "#", count: hashes)
        self.blank(hashes)
        let quote = self.isAhead("\"\"\"") ? "\"\"\"" : "\""
        self.blank(quote.utf8.count)
        while self.position < self.input.count {
            if self.isAhead(quote + fence) {
                return self.blank(quote.utf8.count + hashes)
            } else if self.isAhead("\\" + fence + "(") {
                self.blank(hashes + 1)
                self.keep()
                self.scanCode(untilParenthesis: true)
            } else if self.isAhead("\\" + fence) {
                self.blank(hashes + 2)
            } else {
                self.blank()
            }
        }
    }
}

/// A function, initialiser or deinitialiser with a body.
struct FunctionSpan {
    var name: String
    /// Counted from 0.
    var firstLine: Int
    var lineCount: Int

    /// All functions in code without comments and strings, those within others too.
    static func all(in code: String) -> [FunctionSpan] {
        let lines = code.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.indices.compactMap { first in
            // Most lines need no regular expression.
            guard lines[first].contains("func ") || lines[first].contains("init") else { return nil }
            let beginning = /^\s*(?:@\w+(?:\([^)]*\))?\s+|[a-z]+(?:\([a-z]+\))?\s+)*(func\s+[^\s(<]+|init\b|deinit\b)/
            guard let match = lines[first].prefixMatch(of: beginning) else { return nil }
            let rest = lines[first].dropFirst(match.output.0.count)
            guard let count = Self.bodyLineCount([rest] + lines[(first + 1)...]) else { return nil }
            return FunctionSpan(name: String(match.output.1), firstLine: first, lineCount: count)
        }
    }

    /// Lines up to the body's closing brace; nil for a declaration without a body.
    private static func bodyLineCount(_ lines: [Substring]) -> Int? {
        var (parentheses, braces) = (0, 0)
        for (index, line) in lines.enumerated() {
            if index > 0, parentheses == 0, braces == 0, !Self.continuesDeclaration(line) { return nil }
            for byte in line.utf8 {
                switch byte {
                case UInt8(ascii: "("): parentheses += 1
                case UInt8(ascii: ")"): parentheses -= 1
                case UInt8(ascii: "{") where parentheses == 0: braces += 1
                case UInt8(ascii: "}") where parentheses == 0:
                    braces -= 1
                    if braces <= 0 { return braces == 0 ? index + 1 : nil }
                default: break
                }
            }
        }
        return nil
    }

    /// Whether a line goes on with what comes before a function's body.
    private static func continuesDeclaration(_ line: Substring) -> Bool {
        let text = line.drop { $0 == " " }
        let beginnings = ["->", "throws", "async", "rethrows", "where", "{", ")", "("]
        return text.isEmpty || beginnings.contains { text.hasPrefix($0) }
    }
}
