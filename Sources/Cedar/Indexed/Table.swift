/// Finds values by numbers that are not 0.
///
/// A value type made of many small tables, so that the copy which a change of a shared one makes is small: of one of
/// them. Each is probed linearly.
struct Table<Value: Sendable>: Sendable {
    private struct Shard: Sendable {
        /// A power of two of them, or none at all.
        var entries: [Entry] = []
        var count = 0
    }

    private struct Entry: Sendable {
        /// 0 where nothing is.
        var key: UInt64 = 0
        var value: Value
    }

    private var shards = [Shard](repeating: Shard(), count: 256)
    /// What stands where nothing is.
    private let none: Value

    init(none: Value) { self.none = none }

    /// Where something stands, until the next change.
    struct Place {
        fileprivate let shard: Int
        fileprivate let slot: Int
    }

    func place(of key: UInt64) -> Place? {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        return slot(of: key, mixed, in: shard).map { Place(shard: shard, slot: $0) }
    }

    subscript(place: Place) -> Value {
        _read { yield shards[place.shard].entries[place.slot].value }
    }

    /// What is found under the key, or `none`.
    subscript(key: UInt64) -> Value { place(of: key).map { self[$0] } ?? none }

    /// Changes what stands under the key, which may be `none`; it stays, whatever it is then.
    mutating func update<Result>(_ key: UInt64, _ change: (inout Value) -> Result) -> Result {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        if let slot = slot(of: key, mixed, in: shard) { return change(&shards[shard].entries[slot].value) }
        if (shards[shard].count + 1) * 4 > shards[shard].entries.count * 3 { grow(shard) }
        let slot = put(key, mixed, in: &shards[shard])
        return change(&shards[shard].entries[slot].value)
    }

    mutating func remove(_ key: UInt64) {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        guard var hole = slot(of: key, mixed, in: shard) else { return }
        let mask = shards[shard].entries.count - 1
        // What stands behind moves up where it may, so that no search ends at the hole.
        var next = (hole + 1) & mask
        while case let key = shards[shard].entries[next].key, key != 0 {
            let home = Int(truncatingIfNeeded: Self.mixed(key)) & mask
            if (next &- home) & mask >= (next &- hole) & mask {
                shards[shard].entries.swapAt(hole, next)
                hole = next
            }
            next = (next + 1) & mask
        }
        shards[shard].entries[hole] = Entry(value: none)
        shards[shard].count -= 1
    }

    private func slot(of key: UInt64, _ mixed: UInt64, in shard: Int) -> Int? {
        let count = shards[shard].entries.count
        guard count > 0 else { return nil }
        let mask = count &- 1
        var slot = Int(truncatingIfNeeded: mixed) & mask
        while true {
            let found = shards[shard].entries[slot].key
            if found == key { return slot }
            if found == 0 { return nil }
            slot = (slot &+ 1) & mask
        }
    }

    /// Takes the first free place; there is one.
    private func put(_ key: UInt64, _ mixed: UInt64, in shard: inout Shard) -> Int {
        let mask = shard.entries.count - 1
        var slot = Int(truncatingIfNeeded: mixed) & mask
        while shard.entries[slot].key != 0 { slot = (slot + 1) & mask }
        shard.entries[slot].key = key
        shard.count += 1
        return slot
    }

    private mutating func grow(_ number: Int) {
        let old = shards[number]
        let size = max(4, old.entries.count * 2)
        var new = Shard(entries: Array(repeating: Entry(value: none), count: size))
        for entry in old.entries where entry.key != 0 {
            new.entries[put(entry.key, Self.mixed(entry.key), in: &new)].value = entry.value
        }
        shards[number] = new
    }

    private static func mixed(_ key: UInt64) -> UInt64 {
        let product = key &* 0x9E37_79B9_7F4A_7C15
        return product ^ product >> 29
    }
}
