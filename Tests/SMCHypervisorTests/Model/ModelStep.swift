import SMCTesting

/// One thing that happens to the model. Its numbers are choices: what they choose from depends on what there is when
/// the step runs, so that any part of a list of steps can be run again.
struct ModelStep: Hashable, CustomStringConvertible {
    enum Kind: Int, CaseIterable {
        case open, close, reclaimed, establish, withdraw, query
        case create, bind, accept, reject, unbindBuffer, unbindOwner, renew, destroy, bindings
        case read, write, compareAndMove, signal, takeStatusBits
        case createVLAN, changeVLAN, destroyVLAN, setFunction, setSlice
        case createPartition, changePartition, destroyPartition, authorise, revoke, resizePool, reload, setRoles

        /// How often it happens, in comparison.
        var weight: Int {
            switch self {
            case .create: 12
            case .bind: 20
            case .accept: 26
            case .reclaimed: 30
            case .open, .destroy: 8
            case .unbindBuffer, .unbindOwner: 6
            case .reject, .renew, .establish, .signal, .read, .setFunction: 3
            case .close, .withdraw, .query, .bindings, .write, .compareAndMove, .takeStatusBits, .authorise, .revoke: 2
            default: 1
            }
        }
    }

    let kind: Kind
    let choices: [UInt16]

    init(_ kind: Kind, _ choices: [UInt16]) {
        self.kind = kind
        self.choices = choices
    }

    private static let table = Kind.allCases.flatMap { Array(repeating: $0, count: $0.weight) }

    static func random(using random: inout SeededGenerator) -> ModelStep {
        let kind = Self.table[Int(random.next() % UInt64(Self.table.count))]
        let bits = random.next()
        return ModelStep(kind, (0..<4).map { UInt16(truncatingIfNeeded: bits >> UInt64(16 * $0)) })
    }

    /// As it can be put into a test.
    var description: String {
        "ModelStep(.\(self.kind), [\(self.choices.map { "\($0)" }.joined(separator: ", "))])"
    }
}

/// Makes a failing list of steps as short as it gets by leaving parts out (Zeller's delta debugging).
func shrink(_ steps: [ModelStep], fails: ([ModelStep]) -> Bool) -> [ModelStep] {
    var steps = steps
    var parts = 2
    while steps.count > 1 {
        let size = (steps.count + parts - 1) / parts
        var isShorter = false
        var start = 0
        while start < steps.count {
            let rest = Array(steps[..<start] + steps[min(start + size, steps.count)...])
            if !rest.isEmpty, fails(rest) {
                steps = rest
                isShorter = true
                parts = max(parts - 1, 2)
            } else {
                start += size
            }
        }
        if isShorter { continue }
        guard size > 1 else { break }
        parts = min(parts * 2, steps.count)
    }
    return steps
}
