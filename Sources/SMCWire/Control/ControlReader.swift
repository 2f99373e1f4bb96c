/// Reads the fields of a control message in order; big endian. Never reads past the end, never traps.
struct ControlReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.position = bytes.startIndex
    }

    private var remaining: Int {
        self.bytes.endIndex - self.position
    }

    mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ type: Value.Type
    ) throws(ControlWireError) -> Value {
        let count = Value.bitWidth / 8
        guard self.remaining >= count else { throw .truncatedBody }
        var value: Value = 0
        for byte in self.bytes[self.position..<self.position + count] {
            value = (value << 7) << 1 | Value(byte)  // In two steps: eight at once would overshift a UInt8.
        }
        self.position += count
        return value
    }

    /// A count of bytes or items, not over `limit`.
    mutating func count(_ field: String, limit: Int) throws(ControlWireError) -> Int {
        let value = try self.integer(UInt64.self)
        guard value <= UInt64(limit) else { throw .invalidField(field) }
        return Int(value)
    }

    mutating func flag(_ field: String) throws(ControlWireError) -> Bool {
        switch try self.integer(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .invalidField(field)
        }
    }

    /// A text as ``ControlWriter/text(_:limit:)`` writes it.
    mutating func text(_ field: String, limit: Int) throws(ControlWireError) -> String {
        let count = Int(try self.integer(UInt16.self))
        guard count <= limit else { throw .invalidField(field) }
        guard self.remaining >= count else { throw .truncatedBody }
        let slice = self.bytes[self.position..<self.position + count]
        self.position += count
        guard let text = String(validating: slice, as: UTF8.self), ControlText.isClean(text) else {
            throw .invalidField(field)
        }
        return text
    }

    mutating func token<Right>(_ type: Token<Right>.Type) throws(ControlWireError) -> Token<Right> {
        Token(high: try self.integer(UInt64.self), low: try self.integer(UInt64.self))
    }

    mutating func address() throws(ControlWireError) -> SMGID {
        SMGID(gid: try self.integer(UInt64.self), extendedGID: try self.integer(UInt64.self))
    }

    mutating func vlan() throws(ControlWireError) -> VLANID {
        let name = try self.text("VLAN name", limit: VLANID.maximumByteCount)
        guard let vlan = VLANID(name) else { throw .invalidField("VLAN name") }
        return vlan
    }

    mutating func pool() throws(ControlWireError) -> PoolID {
        let name = try self.text("pool name", limit: PoolID.maximumByteCount)
        guard let pool = PoolID(name) else { throw .invalidField("pool name") }
        return pool
    }

    /// The name of a partition that is, or shall be, defined: not empty.
    mutating func partitionName() throws(ControlWireError) -> String {
        let name = try self.text("partition name", limit: ControlLimits.nameByteCount)
        guard !name.isEmpty else { throw .invalidField("partition name") }
        return name
    }

    mutating func access() throws(ControlWireError) -> BufferAccess {
        switch try self.integer(UInt8.self) {
        case 1: .owner(try self.token(OwnerToken.self))
        case 2: .peer(try self.token(BufferToken.self))
        default: throw .invalidField("kind of token")
        }
    }

    /// Bytes as ``ControlWriter/blob(_:limit:)`` writes them.
    mutating func blob(_ field: String, limit: Int) throws(ControlWireError) -> [UInt8] {
        let count = Int(try self.integer(UInt32.self))
        guard count <= limit else { throw .invalidField(field) }
        guard self.remaining >= count else { throw .truncatedBody }
        defer { self.position += count }
        return Array(self.bytes[self.position..<self.position + count])
    }

    mutating func optional<Value>(
        _ field: String, _ read: (inout Self) throws(ControlWireError) -> Value
    ) throws(ControlWireError) -> Value? {
        try self.flag(field) ? try read(&self) : nil
    }

    mutating func list<Element>(
        _ field: String, limit: Int, _ read: (inout Self) throws(ControlWireError) -> Element
    ) throws(ControlWireError) -> [Element] {
        let count = Int(try self.integer(UInt16.self))
        guard count <= limit else { throw .invalidField(field) }
        var elements: [Element] = []
        for _ in 0..<count {
            elements.append(try read(&self))
        }
        return elements
    }

    /// Call after the last field: nothing may be left.
    func finish() throws(ControlWireError) {
        guard self.remaining == 0 else { throw .excessBytes(self.remaining) }
    }
}
