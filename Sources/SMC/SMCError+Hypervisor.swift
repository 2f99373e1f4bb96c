internal import SMCControl
internal import SMCSystem
internal import SMCWire

extension SMCError.Code {
    /// The hypervisor refused an instruction; ``SMCError/refusal`` says which of its reasons it was.
    public static let refused = SMCError.Code(rawValue: "refused")
    /// There is no hypervisor, or it is gone, or it does not answer.
    public static let noHypervisor = SMCError.Code(rawValue: "no-hypervisor")
}

extension SMCError {
    /// The hypervisor's reason, as `Docs/Hypervisor.md` lists them, for instance `poolExhausted`; nil when it was
    /// something else than a refusal.
    public var refusal: String? {
        guard let error = self.cause as? ControlError, case .refused(let refusal, _) = error else { return nil }
        return refusal.name
    }

    init(_ error: ControlError) {
        let code: Code =
            switch error {
            case .refused: .refused
            case .unavailable, .timedOut: .noHypervisor
            case .protocolViolation: .protocolViolation
            case .system: .system
            }
        self.init(code, "\(error)", cause: error)
    }
}

/// Runs calls to the hypervisor, which wait for its answer, on a thread of their own.
func onWorker<Success: Sendable>(
    _ worker: Worker, _ body: @escaping @Sendable () throws(ControlError) -> Success
) async throws(SMCError) -> Success {
    do throws(ControlError) {
        return try await worker.run(body)
    } catch {
        throw SMCError(error)
    }
}

/// A VLAN's name, checked.
func vlanID(_ name: String) throws(SMCError) -> VLANID {
    guard let vlan = VLANID(name) else {
        throw SMCError(.invalidConfiguration, "'\(name)' is no VLAN name: 1 to 32 letters, digits, '.', '-', '_'")
    }
    return vlan
}

/// A pool's name, checked.
func poolID(_ name: String) throws(SMCError) -> PoolID {
    guard let pool = PoolID(name) else {
        throw SMCError(.invalidConfiguration, "'\(name)' is no pool name: 1 to 32 letters, digits, '.', '-', '_'")
    }
    return pool
}
