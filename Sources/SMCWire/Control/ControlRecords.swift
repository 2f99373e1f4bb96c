/// What joining gave.
package struct Membership: Hashable, Sendable {
    /// A partition's address on one VLAN.
    package struct Address: Hashable, Sendable {
        package var vlan: VLANID
        package var smgid: SMGID

        package init(vlan: VLANID, smgid: SMGID) {
            self.vlan = vlan
            self.smgid = smgid
        }
    }

    package var cec: CECID
    /// One for each VLAN, in the order of the request.
    package var addresses: [Address]
    package var hypervisorProcessID: Int32
    /// The largest SMB that this hypervisor can ever give.
    package var largestRingByteCount: Int

    package init(cec: CECID, addresses: [Address], hypervisorProcessID: Int32, largestRingByteCount: Int) {
        self.cec = cec
        self.addresses = addresses
        self.hypervisorProcessID = hypervisorProcessID
        self.largestRingByteCount = largestRingByteCount
    }
}

/// The answer to the common-CEC query (A45): both have access to the same physical memory, or why not.
package enum CommonCECAnswer: Hashable, Sendable {
    case common(on: VLANID)
    case notCommon(HypervisorRefusal, String)
}

/// A created SMB, without its memory.
package struct CreatedRecord: Hashable, Sendable {
    package var owner: OwnerToken
    /// Bytes of the ring, at least what was asked for.
    package var ringByteCount: Int
    /// Bytes of the file: control area and ring.
    package var fileByteCount: Int
    /// The memory's descriptor comes with it.
    package var isMapped: Bool

    package init(owner: OwnerToken, ringByteCount: Int, fileByteCount: Int, isMapped: Bool = true) {
        self.owner = owner
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
        self.isMapped = isMapped
    }
}

/// An accepted SMB, without its memory.
package struct AcceptedRecord: Hashable, Sendable {
    package var buffer: BufferToken
    package var ringByteCount: Int
    package var fileByteCount: Int
    /// The memory's descriptor comes with it.
    package var isMapped: Bool
    package var signal: SignalRecord

    package init(
        buffer: BufferToken, ringByteCount: Int, fileByteCount: Int, isMapped: Bool = true, signal: SignalRecord
    ) {
        self.buffer = buffer
        self.isMapped = isMapped
        self.ringByteCount = ringByteCount
        self.fileByteCount = fileByteCount
        self.signal = signal
    }
}

/// One peer that an SMB is bound to.
package struct BindingRecord: Hashable, Sendable {
    package var peer: SMGID
    /// Whether it has answered the offer; if not, it may.
    package var isAccepted: Bool

    package init(peer: SMGID, isAccepted: Bool) {
        self.peer = peer
        self.isAccepted = isAccepted
    }
}

/// The right to signal about one SMB, without descriptors (A20).
package struct SignalRecord: Hashable, Sendable {
    package var token: SignalToken
    /// Which pair of partitions; the descriptors of a pair come once for each session.
    package var pair: UInt64
    /// The bit that stands for this SMB, and this peer, in both status bit arrays of the pair.
    package var bit: Int
    /// Descriptors come with it: incoming array, outgoing array, incoming event, outgoing event.
    package var hasNewPair: Bool

    package init(token: SignalToken, pair: UInt64, bit: Int, hasNewPair: Bool) {
        self.token = token
        self.pair = pair
        self.bit = bit
        self.hasNewPair = hasNewPair
    }
}

extension Membership {
    func encode(into body: inout ControlWriter) {
        body.integer(self.cec.high)
        body.integer(self.cec.low)
        body.list(self.addresses, limit: ControlLimits.vlansPerPartition) { $0.address(of: $1) }
        body.integer(UInt32(bitPattern: self.hypervisorProcessID))
        body.count(self.largestRingByteCount)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.cec = CECID(high: try body.integer(UInt64.self), low: try body.integer(UInt64.self))
        self.addresses = try body.list("list of addresses", limit: ControlLimits.vlansPerPartition) {
            (reader) throws(ControlWireError) in try reader.membershipAddress()
        }
        self.hypervisorProcessID = Int32(bitPattern: try body.integer(UInt32.self))
        self.largestRingByteCount = try body.ringByteCount()
    }
}

extension ControlWriter {
    mutating func address(of address: Membership.Address) {
        self.vlan(address.vlan)
        self.address(address.smgid)
    }
}

extension ControlReader {
    mutating func membershipAddress() throws(ControlWireError) -> Membership.Address {
        Membership.Address(vlan: try self.vlan(), smgid: try self.address())
    }
}

extension SignalRecord {
    func encode(into body: inout ControlWriter) {
        body.token(self.token)
        body.integer(self.pair)
        body.integer(UInt32(truncatingIfNeeded: self.bit))
        body.flag(self.hasNewPair)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.token = try body.token(SignalToken.self)
        self.pair = try body.integer(UInt64.self)
        self.bit = Int(try body.integer(UInt32.self))
        self.hasNewPair = try body.flag("pair flag")
    }
}
