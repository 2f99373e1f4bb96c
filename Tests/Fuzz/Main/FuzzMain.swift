import FuzzTargets
import Glibc

/// What libFuzzer calls for each input; built by `Tests/Fuzz/fuzz` only, with coverage.
private let target: FuzzTarget = {
    guard let name = getenv("SMC_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) else {
        fatalError("SMC_FUZZ_TARGET must be one of \(FuzzTarget.allCases.map(\.rawValue))")
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let failure = target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
    if let failure { fatalError(failure) }
    return 0
}
