/// Finds values by numbers that are not 0.
///
/// A value type made of many small tables, so that the copy which a change of a shared one makes is small: of one of
/// them. Each is probed linearly.
struct Table<Value: Sendable>: Sendable {
    private struct Shard: Sendable {
        /// 0 where nothing is; a power of two of them, or none at all.
        var keys: [UInt64] = []
        var values: [Value] = []
        var count = 0
    }

    private var shards = [Shard](repeating: Shard(), count: 256)
    /// What stands where nothing is.
    private let none: Value

    init(none: Value) { self.none = none }

    /// What is found under the key, or `none`.
    subscript(key: UInt64) -> Value {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        guard let slot = slot(of: key, mixed, in: shard) else { return none }
        return shards[shard].values[slot]
    }

    /// Changes what stands under the key, which may be `none`; it stays, whatever it is then.
    mutating func update<Result>(_ key: UInt64, _ change: (inout Value) -> Result) -> Result {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        if let slot = slot(of: key, mixed, in: shard) { return change(&shards[shard].values[slot]) }
        if (shards[shard].count + 1) * 4 > shards[shard].keys.count * 3 { grow(shard) }
        let slot = put(key, mixed, in: &shards[shard])
        return change(&shards[shard].values[slot])
    }

    mutating func remove(_ key: UInt64) {
        let mixed = Self.mixed(key)
        let shard = Int(truncatingIfNeeded: mixed >> 56)
        guard var hole = slot(of: key, mixed, in: shard) else { return }
        let mask = shards[shard].keys.count - 1
        // What stands behind moves up where it may, so that no search ends at the hole.
        var next = (hole + 1) & mask
        while shards[shard].keys[next] != 0 {
            let home = Int(truncatingIfNeeded: Self.mixed(shards[shard].keys[next])) & mask
            if (next &- home) & mask >= (next &- hole) & mask {
                shards[shard].keys[hole] = shards[shard].keys[next]
                shards[shard].values.swapAt(hole, next)
                hole = next
            }
            next = (next + 1) & mask
        }
        shards[shard].keys[hole] = 0
        shards[shard].values[hole] = none
        shards[shard].count -= 1
    }

    private func slot(of key: UInt64, _ mixed: UInt64, in shard: Int) -> Int? {
        let count = shards[shard].keys.count
        guard count > 0 else { return nil }
        let mask = count &- 1
        var slot = Int(truncatingIfNeeded: mixed) & mask
        while true {
            let found = shards[shard].keys[slot]
            if found == key { return slot }
            if found == 0 { return nil }
            slot = (slot &+ 1) & mask
        }
    }

    /// Takes the first free place; there is one.
    private func put(_ key: UInt64, _ mixed: UInt64, in shard: inout Shard) -> Int {
        let mask = shard.keys.count - 1
        var slot = Int(truncatingIfNeeded: mixed) & mask
        while shard.keys[slot] != 0 { slot = (slot + 1) & mask }
        shard.keys[slot] = key
        shard.count += 1
        return slot
    }

    private mutating func grow(_ number: Int) {
        let old = shards[number]
        let size = max(4, old.keys.count * 2)
        var new = Shard(keys: Array(repeating: 0, count: size), values: Array(repeating: none, count: size))
        for (key, value) in zip(old.keys, old.values) where key != 0 {
            new.values[put(key, Self.mixed(key), in: &new)] = value
        }
        shards[number] = new
    }

    private static func mixed(_ key: UInt64) -> UInt64 {
        let product = key &* 0x9E37_79B9_7F4A_7C15
        return product ^ product >> 29
    }
}
