/// The four bits by which a host tells its operating system (PROTOCOL 2.6); other values may come and are kept.
package struct OperatingSystem: Hashable, Sendable {
    package let rawValue: UInt8

    /// - Parameter rawValue: only the low four bits count.
    package init(rawValue: UInt8) {
        self.rawValue = rawValue & 0x0f
    }

    package static let unknown = OperatingSystem(rawValue: 0)
    package static let zOS = OperatingSystem(rawValue: 1)
    package static let linux = OperatingSystem(rawValue: 2)
    package static let aix = OperatingSystem(rawValue: 3)
}
