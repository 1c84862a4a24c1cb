internal import CBpf
internal import Glibc

/// Owns the descriptor of one eBPF map, whose keys and values are plain C values.
struct MapDescriptor: ~Copyable, Sendable {
    let descriptor: Descriptor
    let shape: MapShape

    func put<Key: BitwiseCopyable, Value: BitwiseCopyable>(_ key: Key, _ value: Value) throws(DatapathError) {
        var (key, value) = (key, value)
        try check(unsafe bpf_map_update_elem(descriptor.raw, &key, &value, UInt64(BPF_ANY)), "write")
    }

    func remove<Key: BitwiseCopyable>(_ key: Key) throws(DatapathError) {
        var key = key
        let result = unsafe bpf_map_delete_elem(descriptor.raw, &key)
        if result != -ENOENT { try check(result, "write") }
    }

    func value<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        at key: Key, into zero: Value
    ) throws(DatapathError) -> Value {
        var (key, value) = (key, zero)
        try check(unsafe bpf_map_lookup_elem(descriptor.raw, &key, &value), "read")
        return value
    }

    /// One value for each possible processor.
    func values<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        at key: Key, zero: Value, processors: Int
    ) throws(DatapathError) -> [Value] {
        var (key, values) = (key, [Value](repeating: zero, count: processors))
        try check(unsafe bpf_map_lookup_elem(descriptor.raw, &key, &values), "read")
        return values
    }

    /// Every entry, in batches.
    func entries<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        key zeroKey: Key, value zeroValue: Value
    ) throws(DatapathError) -> [(Key, Value)] {
        var keys = [Key](repeating: zeroKey, count: Int(shape.entries))
        var values = [Value](repeating: zeroValue, count: Int(shape.entries))
        var result: [(Key, Value)] = []
        var position: UInt64 = 0
        var isFirst = true
        while true {
            var (count, from) = (shape.entries, position)
            let status = unsafe withUnsafeMutablePointer(to: &from) { from in
                unsafe bpf_map_lookup_batch(
                    descriptor.raw, isFirst ? nil : from, &position, &keys, &values, &count, nil)
            }
            if status != -ENOENT { try check(status, "read") }
            result += zip(keys, values).prefix(Int(count))
            if status == -ENOENT { return result }
            isFirst = false
        }
    }

    private func check(_ result: Int32, _ verb: String) throws(DatapathError) {
        try DatapathError.check(result, "\(verb) the table `\(shape.name)`")
    }
}

/// What a map must be like; two maps of one shape hold the same things.
struct MapShape: Equatable, Sendable {
    let name: String
    let type: bpf_map_type
    let keySize: UInt32
    let valueSize: UInt32
    let entries: UInt32

    func create() throws(DatapathError) -> MapDescriptor {
        let result = unsafe bpf_map_create(type, name, keySize, valueSize, entries, nil)
        return MapDescriptor(
            descriptor: Descriptor(owning: try DatapathError.check(result, "create the table `\(name)`")), shape: self)
    }

    /// The shape of a map that somebody made.
    static func of(_ descriptor: borrowing Descriptor) throws(DatapathError) -> MapShape {
        var information = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        try DatapathError.check(
            unsafe bpf_obj_get_info_by_fd(descriptor.raw, &information, &length), "examine a pinned table")
        let name = unsafe withUnsafeBytes(of: &information.name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return MapShape(
            name: name, type: bpf_map_type(rawValue: information.type), keySize: information.key_size,
            valueSize: information.value_size, entries: information.max_entries)
    }
}
