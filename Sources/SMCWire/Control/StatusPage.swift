/// A part of the books that fits into one packet. The tables come with each page; the items, in one sequence of
/// partitions, SMBs, connections and definitions, from the first one that was asked for. Between two pages the books may change, and
/// then an item may be missed or shown twice: it is a view for people.
package struct StatusPage: Hashable, Sendable {
    package enum Item: Hashable, Sendable {
        case partition(PartitionStatus)
        case smb(SMBStatus)
        case connection(ConnectionStatus)
        case definition(PartitionDefinition)
        case authorisation(Authorisation)
        case usage(UsageStatus)
    }

    package var processID: Int32
    package var cec: CECID
    package var isFunctionEnabled: Bool
    package var pools: [PoolStatus]
    package var vlans: [VLANStatus]
    package var items: [Item]
    /// Ask again, from the item after the last.
    package var hasMore: Bool

    /// Cuts the page that begins with `firstItem` out of the books.
    package init(of status: HypervisorStatus, firstItem: Int) {
        self.init(tables: status, items: Self.items(of: status), firstItem: firstItem)
    }

    /// The same, with the items at hand.
    package init(tables: HypervisorStatus, items: [Item], firstItem: Int) {
        self.processID = tables.processID
        self.cec = tables.cec
        self.isFunctionEnabled = tables.isFunctionEnabled
        self.pools = tables.pools
        self.vlans = tables.vlans
        let rest = items.dropFirst(max(0, firstItem))
        self.items = Array(rest.prefix(ControlLimits.itemsPerStatusPage))
        self.hasMore = rest.count > self.items.count
    }

    /// The items of the books, in the order of all pages.
    package static func items(of status: HypervisorStatus) -> [Item] {
        var items = status.partitions.map { Item.partition($0) }
        items += status.smbs.map { Item.smb($0) }
        items += status.connections.map { Item.connection($0) }
        items += status.definitions.map { Item.definition($0) }
        items += status.authorisations.map { Item.authorisation($0) }
        items += status.usages.map { Item.usage($0) }
        return items
    }

    /// Puts pages together again.
    package func append(to status: inout HypervisorStatus) {
        for item in self.items {
            switch item {
            case .partition(let partition): status.partitions.append(partition)
            case .smb(let smb): status.smbs.append(smb)
            case .connection(let connection): status.connections.append(connection)
            case .definition(let definition): status.definitions.append(definition)
            case .authorisation(let authorisation): status.authorisations.append(authorisation)
            case .usage(let usage): status.usages.append(usage)
            }
        }
    }

    /// The books with only this page's items.
    package var beginning: HypervisorStatus {
        var status = HypervisorStatus(
            processID: self.processID, cec: self.cec, isFunctionEnabled: self.isFunctionEnabled, pools: self.pools,
            vlans: self.vlans)
        self.append(to: &status)
        return status
    }
}

extension StatusPage {
    func encode(into body: inout ControlWriter) {
        body.integer(UInt32(bitPattern: self.processID))
        body.integer(self.cec.high)
        body.integer(self.cec.low)
        body.flag(self.isFunctionEnabled)
        body.list(self.pools, limit: ControlLimits.poolEntries) {
            $0.pool($1.pool)
            $0.integer($1.pages.rawValue)
            $0.count($1.ringByteCount)
            $0.count($1.fileByteCount)
            $0.count($1.blockCount)
            $0.count($1.freeCount)
            $0.count($1.reclaimingCount)
        }
        body.list(self.vlans, limit: ControlLimits.vlansPerHypervisor) {
            $1.definition.encode(into: &$0)
            $0.count($1.usedByteCount)
            $0.count($1.limitByteCount)
            $0.count($1.partitionCount)
        }
        body.list(self.items, limit: ControlLimits.itemsPerStatusPage) { $1.encode(into: &$0) }
        body.flag(self.hasMore)
    }

    init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.processID = Int32(bitPattern: try body.integer(UInt32.self))
        self.cec = CECID(high: try body.integer(UInt64.self), low: try body.integer(UInt64.self))
        self.isFunctionEnabled = try body.flag("function flag")
        self.pools = try body.list("list of pools", limit: ControlLimits.poolEntries) {
            (reader) throws(ControlWireError) in try PoolStatus(decoding: &reader)
        }
        self.vlans = try body.list("list of VLANs", limit: ControlLimits.vlansPerHypervisor) {
            (reader) throws(ControlWireError) in
            VLANStatus(
                definition: try VLANDefinition(decoding: &reader),
                usedByteCount: try reader.count("used bytes", limit: .max),
                limitByteCount: try reader.count("limit", limit: .max),
                partitionCount: try reader.count("partition count", limit: .max))
        }
        self.items = try body.list("list of items", limit: ControlLimits.itemsPerStatusPage) {
            (reader) throws(ControlWireError) in try Item(decoding: &reader)
        }
        self.hasMore = try body.flag("continuation flag")
    }
}

extension PoolStatus {
    fileprivate init(decoding body: inout ControlReader) throws(ControlWireError) {
        self.pool = try body.pool()
        guard let pages = Pages(rawValue: try body.integer(UInt8.self)) else { throw .invalidField("kind of pages") }
        self.pages = pages
        self.ringByteCount = try body.count("ring size", limit: ControlLimits.ringByteCount)
        self.fileByteCount = try body.count("block size", limit: .max)
        self.blockCount = try body.count("block count", limit: .max)
        self.freeCount = try body.count("free count", limit: .max)
        self.reclaimingCount = try body.count("reclaiming count", limit: .max)
    }
}

extension StatusPage.Item {
    fileprivate func encode(into body: inout ControlWriter) {
        switch self {
        case .partition(let partition):
            body.integer(1 as UInt8)
            body.text(partition.name, limit: ControlLimits.nameByteCount)
            body.integer(UInt32(bitPattern: partition.processID))
            body.integer(partition.userID)
            body.list(partition.addresses, limit: ControlLimits.addressesPerPartition) { $0.address(of: $1) }
        case .smb(let smb):
            body.integer(2 as UInt8)
            body.integer(smb.number)
            body.vlan(smb.vlan)
            body.optional(smb.owner) { $0.address($1) }
            body.optional(smb.peer) { $0.address($1) }
            body.count(smb.ringByteCount)
            body.integer(smb.state.rawValue)
            body.flag(smb.isTainted)
        case .connection(let connection):
            body.integer(3 as UInt8)
            body.text(connection.partition, limit: ControlLimits.nameByteCount)
            connection.report.encode(into: &body)
        case .definition(let definition):
            body.integer(4 as UInt8)
            definition.encode(into: &body)
        case .authorisation(let authorisation):
            body.integer(5 as UInt8)
            authorisation.encode(into: &body)
        case .usage(let usage):
            body.integer(6 as UInt8)
            body.text(usage.partition, limit: ControlLimits.nameByteCount)
            body.optional(usage.processID) { $0.integer(UInt32(bitPattern: $1)) }
            body.vlan(usage.vlan)
            body.count(usage.usedByteCount)
            body.optional(usage.limitByteCount) { $0.count($1) }
        }
    }

    fileprivate init(decoding body: inout ControlReader) throws(ControlWireError) {
        switch try body.integer(UInt8.self) {
        case 1:
            self = .partition(
                PartitionStatus(
                    name: try body.text("partition name", limit: ControlLimits.nameByteCount),
                    processID: Int32(bitPattern: try body.integer(UInt32.self)),
                    userID: try body.integer(UInt32.self),
                    addresses: try body.list("list of addresses", limit: ControlLimits.addressesPerPartition) {
                        (reader) throws(ControlWireError) in try reader.membershipAddress()
                    }))
        case 2:
            let number = try body.integer(UInt64.self)
            let vlan = try body.vlan()
            let owner = try body.optional("owner") { (reader) throws(ControlWireError) in try reader.address() }
            let peer = try body.optional("peer") { (reader) throws(ControlWireError) in try reader.address() }
            let ringByteCount = try body.count("ring size", limit: ControlLimits.ringByteCount)
            guard let state = SMBStatus.State(rawValue: try body.integer(UInt8.self)) else {
                throw .invalidField("SMB state")
            }
            self = .smb(
                SMBStatus(
                    number: number, vlan: vlan, owner: owner, peer: peer, ringByteCount: ringByteCount, state: state,
                    isTainted: try body.flag("taint flag")))
        case 3:
            self = .connection(
                ConnectionStatus(
                    partition: try body.text("partition name", limit: ControlLimits.nameByteCount),
                    report: try ConnectionReport(decoding: &body)))
        case 4: self = .definition(try PartitionDefinition(decoding: &body))
        case 5: self = .authorisation(try Authorisation(decoding: &body))
        case 6:
            self = .usage(
                UsageStatus(
                    partition: try body.text("partition name", limit: ControlLimits.nameByteCount),
                    processID: try body.optional("process") { (reader) throws(ControlWireError) in
                        Int32(bitPattern: try reader.integer(UInt32.self))
                    },
                    vlan: try body.vlan(), usedByteCount: try body.count("used bytes", limit: .max),
                    limitByteCount: try body.optional("limit") { (reader) throws(ControlWireError) in
                        try reader.count("limit", limit: .max)
                    }))
        default: throw .invalidField("item kind")
        }
    }
}
