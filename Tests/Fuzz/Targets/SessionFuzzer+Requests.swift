import SMCWire

/// From bytes to requests that often make sense.
extension SessionFuzzer {
    mutating func request(_ kind: UInt8) -> ControlRequest? {
        switch kind % 20 {
        case 0:
            let mask = self.input.byte()
            let vlans = Self.vlans.enumerated().filter { mask >> $0.offset & 1 != 0 }.map(\.element)
            return .join(name: self.name(), vlans: vlans)
        case 1: return self.address().map { .queryCommonCEC($0) }
        case 2, 3:
            let size = [1, 100, 101, 1000, 1001, 0, .max][Int(self.input.byte()) % 7]
            return self.address().map { .createSMB(ringByteCount: size, on: $0, isMapped: kind % 20 == 2) }
        case 4:
            let token = self.owner()
            return self.address().map { .bind(token, to: $0) }
        case 5, 6, 7:
            let offer = self.input.pick(self.offers) ?? OfferToken(rawValue: self.input.word())
            guard let address = self.address() else { return nil }
            return kind % 20 == 5
                ? .reject(offer, from: address) : .accept(offer, from: address, isMapped: kind % 20 == 6)
        case 8: return .unbindBuffer(self.input.pick(self.buffers) ?? self.guess())
        case 9: return .unbindOwner(self.owner(), from: self.flag() ? self.address() : nil)
        case 10: return .destroy(self.owner())
        case 11: return self.flag() ? .renew(self.owner()) : .bindings(self.owner())
        case 12: return self.move()
        case 13:
            return self.flag()
                ? .signal(self.input.pick(self.signals) ?? self.guess())
                : .takeStatusBits(pair: UInt64(self.input.byte()))
        case 14: return self.flag() ? .addresses : .establish(self.vlan())
        case 15:
            let isForced = self.flag()
            return self.address().map { .withdraw($0, isForced: isForced) }
        case 16:
            let number = self.input.word()
            return number % 2 == 0
                ? .reportClosed(number % 8)
                : .report(ConnectionReport(identifier: number % 8, path: "p", local: "", remote: ""))
        case 17: return .status(firstItem: Int(self.input.byte()))
        case 18: return .administer(self.administration())
        default:
            // Any bytes that can be read as a request.
            let packet = self.input.bytes(Int(self.input.byte()))
            guard let header = try? ControlHeader(decoding: packet) else { return nil }
            return try? ControlRequest(decoding: packet, header: header)
        }
    }

    /// SM Move and SM CS Move, inside of the SMB, at its edges, and far away.
    private mutating func move() -> ControlRequest {
        let access: BufferAccess =
            self.flag() ? .owner(self.owner()) : .peer(self.input.pick(self.buffers) ?? self.guess())
        let offset = [0, 8, 100, 108, 116, 1008, 1016, -1, .max, .min][Int(self.input.byte()) % 10]
        switch self.input.byte() % 3 {
        case 0: return .read(access, offset: offset, byteCount: [0, 1, 8, 116, 1016, .max][Int(self.input.byte()) % 6])
        case 1: return .write(access, offset: offset, bytes: self.input.bytes(Int(self.input.byte())))
        default: return .compareAndMove(access, offset: offset, expected: 0, desired: 1)
        }
    }

    private mutating func administration() -> AdministrativeRequest {
        let (vlan, name, isForced) = (self.vlan(), self.name(), self.flag())
        let bytes = [nil, 0, 116, 1016, 2000, Int.max][Int(self.input.byte()) % 6]
        let definition = VLANDefinition(
            vlan, sliceByteCount: bytes, partitionLimitByteCount: isForced ? bytes : nil,
            access: self.flag() ? .open : .authorised, isEnabled: self.flag())
        switch self.input.byte() % 10 {
        case 0: return .createVLAN(definition)
        case 1: return .changeVLAN(definition)
        case 2: return .destroyVLAN(vlan, isForced: isForced)
        case 3: return .setFunction(isEnabled: isForced, self.flag() ? vlan : nil)
        case 4: return .setSlice(vlan, byteCount: bytes)
        case 5: return .createPartition(PartitionDefinition(name: name, userIDs: [UInt32(self.input.byte() % 2)]))
        case 6: return .changePartition(PartitionDefinition(name: name, userIDs: [UInt32(self.input.byte() % 2)]))
        case 7: return .destroyPartition(name, isForced: isForced)
        case 8: return .authorise(Authorisation(partition: name, vlan: vlan, limitByteCount: bytes))
        default: return .revoke(partition: name, vlan)
        }
    }

    private mutating func flag() -> Bool { self.input.byte() % 2 == 1 }
    private mutating func vlan() -> VLANID { Self.vlans[Int(self.input.byte()) % Self.vlans.count] }
    private mutating func name() -> String { Self.names[Int(self.input.byte()) % Self.names.count] }
    private mutating func address() -> SMGID? { self.input.pick(self.addresses) }
    private mutating func owner() -> OwnerToken { self.input.pick(self.owners) ?? self.guess() }

    private mutating func guess<Right>() -> Token<Right> {
        Token(high: self.input.word(), low: self.input.word())
    }
}
