internal import SMCWire

/// SM Move, SM CS Move, SIGB and the status bits, for holders that do not have the memory itself (A23, A31-A33, A55).
/// Whether they may is decided here, at every use; the shell carries it out on the block.
extension Hypervisor {
    /// SM Move out of an SMB.
    mutating func read(
        _ caller: CallerID, _ access: BufferAccess, _ offset: Int, _ byteCount: Int
    ) throws(Refused) -> ControlResponse {
        let block = try self.block(caller, access, offset, byteCount)
        self.effects.append(.read(block, offset: offset, byteCount: byteCount))
        return .bytes([])
    }

    /// SM Move into an SMB.
    mutating func write(
        _ caller: CallerID, _ access: BufferAccess, _ offset: Int, _ bytes: [UInt8]
    ) throws(Refused) {
        let block = try self.block(caller, access, offset, bytes.count)
        self.effects.append(.write(block, offset: offset, bytes: bytes))
    }

    /// SM CS Move of an aligned word.
    mutating func compareAndMove(
        _ caller: CallerID, _ access: BufferAccess, _ offset: Int, _ expected: UInt64, _ desired: UInt64
    ) throws(Refused) -> ControlResponse {
        let block = try self.block(caller, access, offset, 8)
        guard offset % 8 == 0 else {
            throw Refused(.outOfBounds, "SM CS Move works on words of 8 bytes; \(offset) is no multiple of 8.")
        }
        self.effects.append(.compareAndMove(block, offset: offset, expected: expected, desired: desired))
        return .original(0)
    }

    /// The block of an SMB to which the token gives the caller a right, if the range lies in it.
    private mutating func block(
        _ caller: CallerID, _ access: BufferAccess, _ offset: Int, _ byteCount: Int
    ) throws(Refused) -> BlockID {
        let block: BlockID
        switch access {
        case .owner(let token): block = try self.owned(caller, token).smb.block
        case .peer(let token):
            guard let id = self.bindingsByBuffer[token], let smb = self.smbs[id.smb],
                smb.bindings[id.peer]?.caller == caller
            else { throw Refused(.badToken) }
            self.object = self.auditObject(smb, id.smb, peer: id.peer)
            block = smb.block
        }
        let size = self.fileByteCount(block)
        guard (1...ControlLimits.moveByteCount).contains(byteCount) else {
            throw Refused(
                .outOfBounds, "\(byteCount) bytes cannot be moved at once: 1 to \(ControlLimits.moveByteCount).")
        }
        guard offset >= 0, byteCount <= size, offset <= size - byteCount else {
            throw Refused(
                .outOfBounds, "\(byteCount) bytes from \(offset) on are not inside of the SMB's \(size) bytes.")
        }
        return block
    }

    /// SIGB (A33, A54).
    mutating func signal(_ caller: CallerID, _ token: SignalToken) throws(Refused) {
        guard let id = self.bindingsBySignal[token], let smb = self.smbs[id.smb], let binding = smb.bindings[id.peer]
        else { throw Refused(.badToken) }
        let isOwner = token == binding.ownerSignal
        guard (isOwner ? smb.owner.caller : binding.caller) == caller else { throw Refused(.badToken) }
        self.object = self.auditObject(smb, id.smb, peer: id.peer)
        self.notify(binding, isOwner ? binding.peer : smb.owner.address)
    }

    /// Reads and clears what the counterpart has set (A55).
    mutating func takeStatusBits(_ caller: CallerID, _ id: PairID) throws(Refused) -> ControlResponse {
        guard let key = self.pairs[id]?.key else { throw Refused(.badToken) }
        var directions: [Direction] = []
        for address in key.low == key.high ? [key.low] : [key.low, key.high]
        where self.addresses[address]?.caller == caller {
            directions.append(key.direction(to: address))
        }
        guard !directions.isEmpty else { throw Refused(.badToken) }
        self.effects.append(.takeStatusBits(id, directions))
        return .statusBits([])
    }
}
