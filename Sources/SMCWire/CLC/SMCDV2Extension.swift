/// The client's internal shared memory devices in a Proposal (PROTOCOL 2.3).
///
/// On the wire it is a list of entries of 64-bit GID and channel. An emulated device takes two consecutive entries with
/// the same channel, the second one for its extended GID; here it is one ``DMBDevice`` with a 128-bit address.
package struct SMCDV2Extension: Hashable, Sendable {
    /// The system EID; zero if there is none.
    package var seid: EID
    /// The devices, in at most ``entryCountMax`` entries.
    package var devices: [DMBDevice]

    package static let entryCountMax = 8

    package init(seid: EID = .zero, devices: [DMBDevice]) {
        self.seid = seid
        self.devices = devices
    }

    /// How many entries the devices take on the wire.
    package var entryCount: Int {
        self.devices.reduce(0) { $0 + ($1.isEmulated ? 2 : 1) }
    }

    init(entryCount: UInt8, reading reader: inout WireReader) throws(WireError) {
        guard entryCount <= Self.entryCountMax else {
            throw .badValue(field: "GID entry count", value: UInt64(entryCount))
        }
        self.seid = try EID(reading: &reader)
        try reader.skip(16)
        self.devices = []
        var left = entryCount
        while left > 0 {
            var device = DMBDevice(
                gid: SMGID(gid: try reader.uint64(), extendedGID: 0), channel: try reader.uint16())
            left -= 1
            if device.isEmulated {
                guard left > 0 else { throw .badValue(field: "GID entry count", value: UInt64(entryCount)) }
                device.gid.extendedGID = try reader.uint64()
                let channel = try reader.uint16()
                guard channel == device.channel else {
                    throw .badValue(field: "channel of an extended GID", value: UInt64(channel))
                }
                left -= 1
            }
            self.devices.append(device)
        }
    }

    func write(to writer: inout WireWriter) {
        precondition(self.entryCount <= Self.entryCountMax, "too many devices")
        writer.bytes(self.seid.bytes)
        writer.zeros(16)
        for device in self.devices {
            writer.uint64(device.gid.gid)
            writer.uint16(device.channel)
            if device.isEmulated {
                writer.uint64(device.gid.extendedGID)
                writer.uint16(device.channel)
            }
        }
    }
}
