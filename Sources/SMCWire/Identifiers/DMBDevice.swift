/// One internal shared memory device as a Proposal lists it: its address and its channel (PROTOCOL 2.3, 8.1).
package struct DMBDevice: Hashable, Sendable {
    /// The address. Only an emulated device has an extended GID; for others it is 0.
    package var gid: SMGID
    /// The channel (CHID): two devices reach each other only on the same one.
    package var channel: UInt16

    package init(gid: SMGID, channel: UInt16) {
        self.gid = gid
        self.channel = channel
    }

    /// The channels of devices that exist in software only and have 128-bit addresses.
    package static let emulatedChannels: ClosedRange<UInt16> = 0xff00...0xffff

    /// Whether the device exists in software only; it then takes two entries in a Proposal.
    package var isEmulated: Bool { Self.emulatedChannels.contains(self.channel) }
}
