internal import CPosternABI
internal import Glibc

// The idle copy made the same as the one that holds, bit by bit and whatever it says: after a change was cut off.
extension Tables {
    func mirror(from live: Copy) throws(DatapathError) {
        try mirror(peers, size: UInt32(PT_POOL_SIZE), from: live, of: pt_peer_entry.self)
        try mirror(holders, size: UInt32(PT_SLOTS), from: live, of: pt_holder.self)
        try mirror(services, size: UInt32(PT_BUCKETS), from: live, of: pt_bucket.self)
        try mirrorRows(from: live)
        try mirrorTimed(from: live)
        try mirrorRoutes(from: live)
    }

    private func mirror<Value: BitwiseCopyable>(
        _ map: borrowing MapDescriptor, size: UInt32, from live: Copy, of type: Value.Type
    ) throws(DatapathError) {
        // In portions: arrays of the whole would be memory that stays with the process.
        for start in stride(from: 0, to: size, by: 4096) {
            let (source, target) = (live.rawValue * size + start, live.other.rawValue * size + start)
            let count = min(4096, size - start)
            let wanted = try map.mappedValues(from: source, count: count, of: type)
            let present = try map.mappedValues(from: target, count: count, of: type)
            for index in differences(wanted, present) { try map.put(target + UInt32(index), wanted[index]) }
        }
    }

    private func mirrorRows(from live: Copy) throws(DatapathError) {
        let (source, target) = (RowPages(self, live), RowPages(self, live.other))
        try source.findAll()
        try target.findAll()
        for page in 0..<RowPages.count {
            // The first segment comes first: what the others are expected to be rests on it.
            if page == RowPages.groups { try target.flush() }
            let (wanted, present) = (try source.rowsExpected(inPage: page), try target.rowsExpected(inPage: page))
            for place in differences(wanted, present) {
                try target.change(page, UInt32(place)) { $0 = wanted[place] }
            }
        }
        try target.flush()
    }

    private func mirrorTimed(from live: Copy) throws(DatapathError) {
        let entries = try timed.entries(key: pt_timed_key(), value: pt_timed())
        for (key, _) in entries where key.copy != live.rawValue { try timed.remove(key) }
        for (key, value) in entries where key.copy == live.rawValue {
            var key = key
            key.copy = UInt16(live.other.rawValue)
            try timed.put(key, value)
        }
    }

    private func mirrorRoutes(from live: Copy) throws(DatapathError) {
        let entries = try routes.entries(key: pt_route_key(), value: pt_peer_entry())
        for (key, _) in entries where key.copy != live.rawValue { try routes.remove(key) }
        for (key, value) in entries where key.copy == live.rawValue {
            var key = key
            key.copy = UInt8(live.other.rawValue)
            try routes.put(key, value)
        }
    }
}

/// Where two arrays of the same length are not the same bytes. Tables are mostly empty: they are compared in blocks.
func differences<Value: BitwiseCopyable>(_ one: [Value], _ other: [Value]) -> [Int] {
    let (count, size, block) = (min(one.count, other.count), MemoryLayout<Value>.stride, 256)
    return unsafe one.withUnsafeBytes { one in
        unsafe other.withUnsafeBytes { other in
            guard let one = one.baseAddress, let other = other.baseAddress else { return [] }
            func differ(_ range: Range<Int>) -> Bool {
                let (start, length) = (range.lowerBound * size, range.count * size)
                return unsafe memcmp(one + start, other + start, length) != 0
            }
            return stride(from: 0, to: count, by: block).map { $0..<min($0 + block, count) }.filter(differ)
                .flatMap { $0.filter { differ($0..<$0 + 1) } }
        }
    }
}
