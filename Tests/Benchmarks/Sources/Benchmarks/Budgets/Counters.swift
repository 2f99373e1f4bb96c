import Foundation

/// Reads what callgrind and strace counted.
enum Counters {
    /// What callgrind writes for one scenario.
    struct Profile {
        var name = ""
        var instructions = 0
        /// How often each function was called.
        var calls: [String: Int] = [:]
        /// Instructions of each function itself.
        var own: [String: Int] = [:]
        /// Who retains and releases, how often.
        var retainers: [String: Int] = [:]

        /// - Parameter text: a file of callgrind's, with names that are not shortened.
        init(_ text: String) {
            var callee = ""
            var function = ""
            var isInclusive = false
            for line in text.split(separator: "\n") {
                if line.hasPrefix("desc: Trigger: Client Request: ") {
                    self.name = String(line.dropFirst(31))
                } else if line.hasPrefix("fn=") {
                    function = String(line.dropFirst(3))
                } else if line.hasPrefix("cfn=") {
                    callee = String(line.dropFirst(4).prefix { $0 != "'" })
                } else if line.hasPrefix("calls=") {
                    let count = Int(line.dropFirst(6).prefix { $0 != " " }) ?? 0
                    self.calls[callee, default: 0] += count
                    if Counters.retains.contains(callee) { self.retainers[function, default: 0] += count }
                    // The next line is the cost of the calls, not of the function itself.
                    isInclusive = true
                } else if line.hasPrefix("totals: ") {
                    self.instructions = Int(line.dropFirst(8)) ?? 0
                } else if line.first.map({ $0.isNumber || $0 == "+" || $0 == "-" || $0 == "*" }) ?? false {
                    let cost = line.split(separator: " ").last.flatMap { Int($0) } ?? 0
                    if !isInclusive { self.own[function, default: 0] += cost }
                    isInclusive = false
                }
            }
        }

        func calls(of names: Set<String>) -> Int {
            self.calls.reduce(0) { names.contains($1.key) ? $0 + $1.value : $0 }
        }
    }

    /// Of the heap; frames of asynchronous functions come from their task's own stack.
    static let allocators: Set = [
        "malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign", "mmap", "mmap64",
    ]
    static let retains: Set = [
        "swift_retain", "swift_release", "swift_retain_n", "swift_release_n", "swift_bridgeObjectRetain",
        "swift_bridgeObjectRelease", "swift_weakLoadStrong", "swift_unownedRetainStrong",
    ]
    static let exclusivityChecks: Set = ["swift_beginAccess"]

    /// System calls of all threads between the marks, by the scenario's name.
    static func systemCalls(_ trace: String) -> [String: Int] {
        var counts: [String: Int] = [:]
        var scenario: String?
        for line in trace.split(separator: "\n") {
            if let match = line.firstMatch(of: /write\(-1, "(begin|end) ([^"]*)\."/) {
                scenario = match.output.1 == "begin" ? String(match.output.2) : nil
                if let scenario { counts[scenario] = 0 }
            } else if let scenario, !line.contains("resumed>"), line.contains("(") {
                counts[scenario, default: 0] += 1
            }
        }
        return counts
    }
}
