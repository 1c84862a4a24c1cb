internal import CBpf
internal import CPosternABI
internal import Mesh

// What goes from a `TableSet` to one copy of the maps: values on one side, bits on the other.
extension Tables {
    /// - Parameter step: called before each write, with its number.
    func write(
        _ writes: [TableWrite], to copy: Copy, before step: (Int) throws(DatapathError) -> Void
    ) throws(DatapathError) {
        let pages = RowPages(self, copy)
        try pages.make(Set(writes.flatMap(\.pagesNeeded)))
        var doubtful: Set<Slot> = []
        for (index, write) in writes.enumerated() {
            try step(index)
            switch write {
            case .peer(let offset, let entry):
                try put(entry, at: offset, in: copy)
                if let entry { doubtful.insert(entry.slot) }
            case .service(let key, let serviceClass): try put(serviceClass, at: key, in: copy)
            case .row(let slot, let generation):
                doubtful.insert(slot)
                try pages.set(generation?.rawValue ?? 0, of: slot)
            case .verdict(let key, let verdict):
                doubtful.insert(key.slot)
                try put(verdict, at: key, in: copy, pages)
            case .timed(let key, let grant): try put(grant, at: key, in: copy, pages)
            case .route(let prefix, let entry?): try routes.put(pt_route_key(prefix, copy), pt_peer_entry(entry))
            case .route(let prefix, nil): try routes.remove(pt_route_key(prefix, copy))
            }
        }
        try pages.flush()
        for slot in doubtful { try settle(slot, in: copy, by: pages) }
    }

    private func put(_ serviceClass: ServiceClass?, at key: ServiceKey, in copy: Copy) throws(DatapathError) {
        let number = key.number
        let index = copy.rawValue * UInt32(PT_BUCKETS) + pt_service_bucket(number)
        var entries = try services.value(at: index, into: pt_bucket()).list.filter { $0 >> 16 != number }
        if let serviceClass { entries.append(number << 16 | UInt64(serviceClass.rawValue)) }
        guard let bucket = pt_bucket(entries) else {
            throw DatapathError("write the table `services`", because: "too many services fall into one place of it")
        }
        try services.put(index, bucket)
    }

    private func put(
        _ verdict: Verdict, at key: VerdictKey, in copy: Copy, _ pages: RowPages
    ) throws(DatapathError) {
        let isTimed = verdict == .deny ? try timed.find(pt_timed_key(key, copy), into: pt_timed()) != nil : false
        let bits = isTimed ? PT_ALLOW_TIMED.rawValue : UInt32(verdict.rawValue)
        try pages.set(bits, at: key)
    }

    /// A cell that is always allowed stays so: the bits are the timed grant's only where there are no others.
    private func put(
        _ grant: TimedGrant?, at key: VerdictKey, in copy: Copy, _ pages: RowPages
    ) throws(DatapathError) {
        if let grant {
            let value = pt_timed(
                until_ns: grant.until.rawValue, verdict: UInt32(grant.verdict.rawValue), policy: grant.policy)
            try timed.put(pt_timed_key(key, copy), value)
        } else {
            try timed.remove(pt_timed_key(key, copy))
        }
        let (old, new) = (grant == nil ? PT_ALLOW_TIMED : PT_DENY, grant == nil ? PT_DENY : PT_ALLOW_TIMED)
        if try pages.bits(of: key) == old.rawValue { try pages.set(new.rawValue, at: key) }
    }
}

extension TableWrite {
    /// The pages that must be there for what this adds.
    fileprivate var pagesNeeded: [UInt32] {
        switch self {
        case .row(let slot, .some): [RowPages.page(of: slot)]
        case .verdict(let key, let verdict) where verdict != .deny: [RowPages.page(of: key.slot, key.serviceClass)]
        case .timed(let key, .some): [RowPages.page(of: key.slot, key.serviceClass)]
        default: []
        }
    }
}

// MARK: - The C forms

extension pt_peer_entry {
    init(_ entry: PeerEntry?) {
        self.init(
            slot: entry?.slot.rawValue ?? 0, generation: entry?.generation.rawValue ?? 0,
            lease_ns: entry?.lease.rawValue ?? 0, near: (0, 0))
    }
}

extension ServiceKey {
    /// What a bucket's entry holds above the class.
    var number: UInt64 { pt_service_key(slot.rawValue, transport.rawValue, port?.rawValue ?? 0) }
}

extension pt_bucket {
    /// The entries up to the first gap, behind which there are none.
    var list: [UInt64] {
        unsafe withUnsafeBytes(of: entries) { unsafe Array($0.bindMemory(to: UInt64.self).prefix { $0 != 0 }) }
    }

    /// Nil when there are more than fit.
    init?(_ list: [UInt64]) {
        guard list.count <= Int(PT_BUCKET_ENTRIES) else { return nil }
        self.init()
        unsafe withUnsafeMutableBytes(of: &entries) { bytes in
            for (place, entry) in list.enumerated() {
                unsafe bytes.storeBytes(of: entry, toByteOffset: place * 8, as: UInt64.self)
            }
        }
    }
}

extension pt_timed_key {
    init(_ key: VerdictKey, _ copy: Copy) {
        self.init(
            slot: key.slot.rawValue, service_class: UInt16(key.serviceClass.rawValue), copy: UInt16(copy.rawValue))
    }
}

extension pt_route_key {
    init(_ prefix: RoutedPrefix, _ copy: Copy) {
        self.init()
        let bytes = prefix.address.bytes
        length = UInt32(Int(PT_ROUTE_KEY_BITS) + prefix.length)
        self.copy = UInt8(copy.rawValue)
        family = bytes.count == 4 ? 4 : 6
        unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.copyBytes(from: bytes) }
    }
}
