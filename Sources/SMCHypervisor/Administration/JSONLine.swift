/// One JSON object on one line, member by member (RFC 8259). Only what logs need: no nesting, no numbers with fractions.
package struct JSONLine: Sendable {
    private var members: [UInt8] = [UInt8(ascii: "{")]

    package init() {}

    package mutating func add(_ name: String, _ value: String) {
        self.begin(name)
        self.quote(value)
    }

    package mutating func add(_ name: String, _ value: some BinaryInteger) {
        self.begin(name)
        self.members += String(value).utf8
    }

    package mutating func add(_ name: String, _ value: Bool) {
        self.begin(name)
        self.members += (value ? "true" : "false").utf8
    }

    package mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        self.add(name, value)
    }

    /// The object, with the end of the line.
    package var bytes: [UInt8] {
        self.members + [UInt8(ascii: "}"), UInt8(ascii: "\n")]
    }

    private mutating func begin(_ name: String) {
        if self.members.count > 1 { self.members.append(UInt8(ascii: ",")) }
        self.quote(name)
        self.members.append(UInt8(ascii: ":"))
    }

    private mutating func quote(_ text: String) {
        self.members.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                self.members.append(UInt8(ascii: "\\"))
                self.members.append(byte)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                self.members += "\\u00\(digits.count == 1 ? "0" : "")\(digits)".utf8
            default: self.members.append(byte)
            }
        }
        self.members.append(UInt8(ascii: "\""))
    }
}
