internal import CBpf
internal import CPosternABI
internal import Mesh

// What comes from the maps: the set that holds, and what was counted.
extension Tables {
    /// The set that holds, for a daemon that starts while it is in use.
    package func read() throws(DatapathError) -> TableSet { try read(currentState().live) }

    func read(_ copy: Copy) throws(DatapathError) -> TableSet {
        var set = TableSet()
        let pages = RowPages(self, copy)
        set.peers = try readPeers(copy, pages)
        set.services = try readServices(copy)
        set.timed = try readTimed(copy)
        set.routes = try readRoutes(copy)
        try readRows(pages, into: &set)
        return set
    }

    /// An address beside which more stands than its row says reads as nobody's: so it is noticed, and written anew.
    private func readPeers(_ copy: Copy, _ pages: RowPages) throws(DatapathError) -> [MeshOffset: PeerEntry] {
        let size = UInt32(PT_POOL_SIZE)
        var result: [MeshOffset: PeerEntry] = [:]
        for (index, raw) in try peers.mappedEntries(from: copy.rawValue * size, count: size, of: pt_peer_entry.self)
        where raw.slot != 0 {
            guard let entry = PeerEntry(raw), let offset = MeshOffset(rawValue: index) else { throw damaged(.peers) }
            if try isCovered(raw, of: entry.slot, at: offset, in: copy, by: pages) { result[offset] = entry }
        }
        return result
    }

    private func readServices(_ copy: Copy) throws(DatapathError) -> [ServiceKey: ServiceClass] {
        let size = UInt32(PT_BUCKETS)
        var result: [ServiceKey: ServiceClass] = [:]
        let buckets = try services.mappedValues(from: copy.rawValue * size, count: size, of: pt_bucket.self)
        for index in differences(buckets, [pt_bucket](repeating: pt_bucket(), count: buckets.count)) {
            for entry in buckets[index].list {
                guard let key = ServiceKey(number: entry >> 16),
                    let serviceClass = ServiceClass(rawValue: UInt32(entry & 0xffff))
                else { throw damaged(.services) }
                result[key] = serviceClass
            }
        }
        return result
    }

    private func readTimed(_ copy: Copy) throws(DatapathError) -> [VerdictKey: TimedGrant] {
        var result: [VerdictKey: TimedGrant] = [:]
        for (key, value) in try timed.entries(key: pt_timed_key(), value: pt_timed())
        where key.copy == copy.rawValue {
            guard let slot = Slot(rawValue: key.slot),
                let serviceClass = ServiceClass(rawValue: UInt32(key.service_class)),
                let verdict = Verdict(rawValue: UInt8(clamping: value.verdict))
            else { throw damaged(.timed) }
            result[VerdictKey(slot: slot, serviceClass: serviceClass)] = TimedGrant(
                until: BootTime(rawValue: value.until_ns), verdict: verdict, policy: value.policy)
        }
        return result
    }

    private func readRoutes(_ copy: Copy) throws(DatapathError) -> [RoutedPrefix: PeerEntry] {
        var result: [RoutedPrefix: PeerEntry] = [:]
        for (key, value) in try routes.entries(key: pt_route_key(), value: pt_peer_entry())
        where key.copy == copy.rawValue {
            guard let prefix = RoutedPrefix(key), let entry = PeerEntry(value) else { throw damaged(.routes) }
            result[prefix] = entry
        }
        return result
    }

    private func readRows(_ pages: RowPages, into set: inout TableSet) throws(DatapathError) {
        let empty = [pt_row](repeating: pt_row(), count: Int(RowPages.rowsPerPage))
        try pages.findAll()
        for page in 0..<RowPages.count {
            guard let rows = try pages.rows(ofPage: page) else { continue }
            let (segment, group) = page.quotientAndRemainder(dividingBy: RowPages.groups)
            for place in differences(rows, empty) {
                guard let slot = Slot(rawValue: group * RowPages.rowsPerPage + UInt32(place)) else {
                    throw damaged(.rows)
                }
                if segment == 0 { set.rows[slot] = Generation(rawValue: rows[place].generation) }
                try read(rows[place], of: slot, segment, into: &set)
            }
        }
    }

    private func read(
        _ row: pt_row, of slot: Slot, _ segment: UInt32, into set: inout TableSet
    ) throws(DatapathError) {
        let first = segment * UInt32(PT_SEGMENT_CLASSES)
        for number in first..<min(first + UInt32(PT_SEGMENT_CLASSES), ServiceClass.count) {
            guard let serviceClass = ServiceClass(rawValue: number) else { continue }
            let key = VerdictKey(slot: slot, serviceClass: serviceClass)
            switch row[serviceClass] {
            case PT_DENY.rawValue: break
            case PT_ALLOW_TIMED.rawValue: if set.timed[key] == nil { throw damaged(.rows) }
            case let bits: set.verdicts[key] = Verdict(rawValue: UInt8(bits))
            }
        }
    }

    private func damaged(_ map: SharedMap) -> DatapathError {
        DatapathError("adopt the table `\(map.rawValue)`", because: "it holds an entry that we never write")
    }

    // MARK: counters

    /// What was counted since the tables were made; what is absent never happened.
    package func counts() throws(DatapathError) -> [Place: [Reason: Count]] {
        var result: [Place: [Reason: Count]] = [:]
        for place in Place.allCases { result[place] = try counts(at: place) }
        return result
    }

    package func counts(at place: Place) throws(DatapathError) -> [Reason: Count] {
        let processors = Int(try DatapathError.check(libbpf_num_possible_cpus(), "count the processors"))
        var result: [Reason: Count] = [:]
        for reason in Reason.allCases {
            let index = place.rawValue * PT_REASONS.rawValue + reason.rawValue
            let parts = try counters.values(at: index, zero: pt_counter(), processors: processors)
            let sum = parts.reduce(into: Count()) { $0 = $0 + $1 }
            if sum.packets > 0 { result[reason] = sum }
        }
        return result
    }
}

extension Count {
    fileprivate static func + (sum: Count, part: pt_counter) -> Count {
        Count(packets: sum.packets &+ part.packets, bytes: sum.bytes &+ part.bytes)
    }
}

extension PeerEntry {
    fileprivate init?(_ raw: pt_peer_entry) {
        guard let slot = Slot(rawValue: raw.slot), let generation = Generation(rawValue: raw.generation) else {
            return nil
        }
        self.init(slot: slot, generation: generation, lease: BootTime(rawValue: raw.lease_ns))
    }
}

extension ServiceKey {
    fileprivate init?(number: UInt64) {
        guard let slot = Slot(rawValue: UInt32(truncatingIfNeeded: number >> 24)),
            let transport = TransportProtocol(rawValue: UInt8(truncatingIfNeeded: number >> 16))
        else { return nil }
        let port = Port(rawValue: UInt16(truncatingIfNeeded: number))
        guard (port == nil) == (transport == .icmp) else { return nil }
        self.init(slot: slot, port: port, transport: transport)
    }
}

extension RoutedPrefix {
    fileprivate init?(_ key: pt_route_key) {
        let bytes = unsafe withUnsafeBytes(of: key.address) { unsafe Array($0) }
        guard let address = IPAddress(bytes: Array(bytes.prefix(key.family == 4 ? 4 : 16))),
            key.length >= UInt32(PT_ROUTE_KEY_BITS)
        else { return nil }
        self.init(address, length: Int(key.length) - Int(PT_ROUTE_KEY_BITS))
    }
}
