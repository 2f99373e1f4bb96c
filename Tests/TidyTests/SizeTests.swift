import Testing

struct SizeTests {
    static let fileLinesMax = 600
    static let functionLinesMax = 70
    /// Files, and functions as `path: func name`, that may be longer, each with its reason.
    static let exceptions: [String: String] = [:]

    @Test(arguments: SourceTree.allSwift) func noFileIsTooLong(_ file: TextFile) {
        let count = file.text.count { $0 == "\n" }
        #expect(count <= Self.fileLinesMax || Self.exceptions[file.path] != nil, "\(file.path) has \(count) lines")
    }

    @Test(arguments: SourceTree.allSwift) func noFunctionIsTooLong(_ file: TextFile) {
        for function in FunctionSpan.all(in: file.code) where function.lineCount > Self.functionLinesMax {
            guard Self.exceptions["\(file.path): \(function.name)"] == nil else { continue }
            Issue.record("\(file.place(function.firstLine)): \(function.name) has \(function.lineCount) lines")
        }
    }

    @Test func theCounterCounts() {
        let text = #"""
            protocol P {
                func requirement(_ a: Int) -> Int
                func other()
            }
            struct S: P {
                package init() { self.init(1) }
                @Test(arguments: [1]) private static func one(
                    _ f: () -> Void = {}
                ) async throws(E)
                    -> [Int]
                {
                    // }
                    print("} \(f({ "{" })) {", "\\", """
                        }
                        """) /* } /* } */ } */
                }
                deinit {
                }
            }
            """#
        let functions = FunctionSpan.all(in: SwiftScanner.code(of: text))
        #expect(functions.map(\.name) == ["init", "func one", "deinit"])
        #expect(functions.map(\.lineCount) == [1, 10, 2])
        #expect(functions.map(\.firstLine) == [5, 6, 16])
    }
}
