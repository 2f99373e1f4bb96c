/// The bytes of an input, taken as decisions. Zeros follow the last one.
struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        self.rest = bytes[...]
    }

    var isEmpty: Bool { self.rest.isEmpty }

    mutating func byte() -> UInt8 {
        self.rest.popFirst() ?? 0
    }

    mutating func word() -> UInt64 {
        (0..<8).reduce(0) { word, _ in word << 8 | UInt64(self.byte()) }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { self.rest = self.rest.dropFirst(count) }
        return Array(self.rest.prefix(count))
    }

    /// One of `elements`, by its number.
    mutating func pick<Element>(_ elements: [Element]) -> Element? {
        let number = Int(self.byte())
        return elements.isEmpty ? nil : elements[number % elements.count]
    }
}
