internal import CBpf
internal import CPosternABI
internal import Mesh

// What goes between a `TableSet` and the maps: bits on one side, values on the other.
extension Tables {
    /// The tables as the kernel has them, for a daemon that starts while they are in use.
    package func read() throws(DatapathError) -> TableSet {
        TableSet(
            peers: try readPeers(), services: try readServices(), rows: try readRows(), verdicts: try readVerdicts())
    }

    func write(_ writes: [TableWrite]) throws(DatapathError) {
        var word = VerdictWord?.none
        for write in writes {
            switch write {
            case .peer(let offset, let entry): try peers.put(offset.rawValue, pt_peer_entry(entry))
            case .service(let key, let serviceClass?): try services.put(pt_service(key), serviceClass.rawValue)
            case .service(let key, nil): try services.remove(pt_service(key))
            case .row(let slot, let generation):
                try rows.put(slot.rawValue, pt_row(generation: generation?.rawValue ?? 0))
            case .verdict(let key, let verdict): try set(verdict, at: key, in: &word)
            }
        }
        try flush(word)
    }

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

    // MARK: verdicts, two bits each

    /// A word of verdicts with changes that the kernel has not seen; neighbours are written together.
    private struct VerdictWord {
        let index: UInt32
        var bits: UInt64
    }

    private func set(_ verdict: Verdict, at key: VerdictKey, in word: inout VerdictWord?) throws(DatapathError) {
        let perWord = UInt32(PT_VERDICTS_PER_WORD)
        let index = key.slot.rawValue * UInt32(PT_WORDS) + key.serviceClass.rawValue / perWord
        var current: VerdictWord
        if let word, word.index == index {
            current = word
        } else {
            try flush(word)
            current = VerdictWord(index: index, bits: try verdicts.value(at: index, into: UInt64(0)))
        }
        let shift = UInt64(key.serviceClass.rawValue % perWord * 2)
        current.bits = current.bits & ~(3 << shift) | UInt64(verdict.rawValue) << shift
        word = current
    }

    private func flush(_ word: VerdictWord?) throws(DatapathError) {
        if let word { try verdicts.put(word.index, word.bits) }
    }

    private func readVerdicts() throws(DatapathError) -> [VerdictKey: Verdict] {
        var result: [VerdictKey: Verdict] = [:]
        for (index, bits) in try verdicts.entries(key: UInt32(0), value: UInt64(0)) where bits != 0 {
            for place in 0..<UInt32(PT_VERDICTS_PER_WORD) where bits >> UInt64(place * 2) & 3 != 0 {
                let column = index % UInt32(PT_WORDS) * UInt32(PT_VERDICTS_PER_WORD) + place
                guard let slot = Slot(rawValue: index / UInt32(PT_WORDS)),
                    let serviceClass = ServiceClass(rawValue: column),
                    let verdict = Verdict(rawValue: UInt8(bits >> UInt64(place * 2) & 3))
                else { throw damaged(.verdicts) }
                result[VerdictKey(slot: slot, serviceClass: serviceClass)] = verdict
            }
        }
        return result
    }

    // MARK: the others

    private func readPeers() throws(DatapathError) -> [MeshOffset: PeerEntry] {
        var result: [MeshOffset: PeerEntry] = [:]
        for (offset, entry) in try peers.entries(key: UInt32(0), value: pt_peer_entry()) where entry.slot != 0 {
            guard let offset = MeshOffset(rawValue: offset), let slot = Slot(rawValue: entry.slot),
                let generation = Generation(rawValue: entry.generation)
            else { throw damaged(.peers) }
            result[offset] = PeerEntry(slot: slot, generation: generation, lease: BootTime(rawValue: entry.lease_ns))
        }
        return result
    }

    private func readServices() throws(DatapathError) -> [ServiceKey: ServiceClass] {
        var result: [ServiceKey: ServiceClass] = [:]
        for (key, value) in try services.entries(key: pt_service(), value: UInt32(0)) {
            guard let slot = Slot(rawValue: key.slot), let port = Port(rawValue: key.port),
                let transport = TransportProtocol(rawValue: key.protocol),
                let serviceClass = ServiceClass(rawValue: value)
            else { throw damaged(.services) }
            result[ServiceKey(slot: slot, port: port, transport: transport)] = serviceClass
        }
        return result
    }

    private func readRows() throws(DatapathError) -> [Slot: Generation] {
        var result: [Slot: Generation] = [:]
        for (slot, row) in try rows.entries(key: UInt32(0), value: pt_row()) where row.generation != 0 {
            guard let slot = Slot(rawValue: slot), let generation = Generation(rawValue: row.generation) else {
                throw damaged(.rows)
            }
            result[slot] = generation
        }
        return result
    }

    private func damaged(_ map: SharedMap) -> DatapathError {
        DatapathError("adopt the table `\(map.rawValue)`", because: "it holds an entry that we never write")
    }
}

extension pt_peer_entry {
    fileprivate init(_ entry: PeerEntry?) {
        self.init(
            slot: entry?.slot.rawValue ?? 0, generation: entry?.generation.rawValue ?? 0,
            lease_ns: entry?.lease.rawValue ?? 0)
    }
}

extension pt_service {
    fileprivate init(_ key: ServiceKey) {
        self.init(slot: key.slot.rawValue, port: key.port.rawValue, protocol: key.transport.rawValue, pad: 0)
    }
}

extension Count {
    fileprivate static func + (sum: Count, part: pt_counter) -> Count {
        Count(packets: sum.packets &+ part.packets, bytes: sum.bytes &+ part.bytes)
    }
}
