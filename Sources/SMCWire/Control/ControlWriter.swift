/// Writes the fields of a control message in order; big endian.
struct ControlWriter {
    private(set) var bytes: [UInt8] = []

    mutating func integer(_ value: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            self.bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// A negative count is a fault of ours, and is written as one that every reader refuses.
    mutating func count(_ value: Int) {
        self.integer(UInt64(bitPattern: Int64(value)))
    }

    mutating func flag(_ value: Bool) {
        self.integer(value ? 1 : 0 as UInt8)
    }

    /// Writes a text; what is over the limit is cut off, control characters become question marks.
    mutating func text(_ value: String, limit: Int) {
        let clean = ControlText.clean(value, limit: limit)
        self.integer(UInt16(clean.utf8.count))
        self.bytes.append(contentsOf: clean.utf8)
    }

    mutating func token<Right>(_ token: Token<Right>) {
        self.integer(token.high)
        self.integer(token.low)
    }

    mutating func address(_ address: SMGID) {
        self.integer(address.gid)
        self.integer(address.extendedGID)
    }

    mutating func vlan(_ vlan: VLANID) {
        self.text(vlan.name, limit: VLANID.maximumByteCount)
    }

    mutating func pool(_ pool: PoolID) {
        self.text(pool.name, limit: PoolID.maximumByteCount)
    }

    mutating func partitionName(_ name: String) {
        self.text(name, limit: ControlLimits.nameByteCount)
    }

    mutating func access(_ access: BufferAccess) {
        switch access {
        case .owner(let token):
            self.integer(1 as UInt8)
            self.token(token)
        case .peer(let token):
            self.integer(2 as UInt8)
            self.token(token)
        }
    }

    /// At most `limit` bytes.
    mutating func blob(_ blob: [UInt8], limit: Int) {
        let kept = blob.prefix(limit)
        self.integer(UInt32(kept.count))
        self.bytes.append(contentsOf: kept)
    }

    mutating func optional<Value>(_ value: Value?, _ write: (inout Self, Value) -> Void) {
        self.flag(value != nil)
        if let value { write(&self, value) }
    }

    /// Writes at most `limit` elements.
    mutating func list<Element>(_ elements: [Element], limit: Int, _ write: (inout Self, Element) -> Void) {
        let kept = elements.prefix(limit)
        self.integer(UInt16(kept.count))
        for element in kept {
            write(&self, element)
        }
    }
}

/// What texts in control messages may hold: UTF-8 without control characters, so that no name that a partition gives
/// itself can forge lines of a log or move a terminal's cursor.
package enum ControlText {
    package static func isClean(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { Self.isClean($0) }
    }

    private static func isClean(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value)
    }

    /// The longest beginning of `text` that fits into `limit` bytes, control characters replaced.
    package static func clean(_ text: String, limit: Int) -> String {
        var result = String.UnicodeScalarView()
        var byteCount = 0
        for scalar in text.unicodeScalars {
            let kept = Self.isClean(scalar) ? scalar : "?"
            byteCount += UTF8.width(kept)
            guard byteCount <= limit else { break }
            result.append(kept)
        }
        return String(result)
    }
}
