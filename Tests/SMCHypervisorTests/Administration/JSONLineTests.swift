import Foundation
import SMCHypervisor
import SMCTesting
import Testing

struct JSONLineTests {
    private func parsed(_ line: JSONLine) throws -> [String: Any] {
        #expect(line.bytes.last == UInt8(ascii: "\n"))
        #expect(line.bytes.count { $0 == UInt8(ascii: "\n") } == 1)
        return try #require(try JSONSerialization.jsonObject(with: Data(line.bytes)) as? [String: Any])
    }

    @Test func membersInTheirOrder() throws {
        var line = JSONLine()
        line.add("event", "bind")
        line.add("pid", 12)
        line.add("nothing", nil)
        line.add("low", Int64.min)
        #expect(
            String(decoding: line.bytes, as: UTF8.self) == #"{"event":"bind","pid":12,"low":-9223372036854775808}"#
                + "\n")
        #expect(try self.parsed(JSONLine()).isEmpty)
    }

    /// What a partition calls itself must not be able to add members or lines.
    @Test(arguments: [UInt64.random(in: 0 ... .max)]) func anyTextComesBackAsItWas(seed: UInt64) throws {
        print("JSONLineTests.anyTextComesBackAsItWas: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let scalars = (0..<Int.random(in: 0...12, using: &random)).map { _ -> Unicode.Scalar in
                let ranges: [ClosedRange<UInt32>] = [0...0x7f, 0x80...0xd7ff, 0xe000...0x10ffff]
                return Unicode.Scalar(UInt32.random(in: ranges.randomElement(using: &random)!, using: &random))!
            }
            let text = String(String.UnicodeScalarView(scalars))
            var line = JSONLine()
            line.add("name", text)
            line.add("after", "end")
            let object = try self.parsed(line)
            #expect((object["name"] as? String)?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
            #expect(object["after"] as? String == "end")
        }
    }
}
