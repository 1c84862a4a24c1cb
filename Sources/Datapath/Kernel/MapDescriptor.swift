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

    /// The same where there may be nothing.
    func find<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        _ key: Key, into zero: Value
    ) throws(DatapathError) -> Value? {
        var (key, value) = (key, zero)
        let result = unsafe bpf_map_lookup_elem(descriptor.raw, &key, &value)
        if result == -ENOENT { return nil }
        try check(result, "read")
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

    /// Every entry, in batches: room for all at once would be memory that stays with the process.
    func entries<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        key zeroKey: Key, value zeroValue: Value
    ) throws(DatapathError) -> [(Key, Value)] {
        let batch = min(shape.entries, 1024)
        var keys = [Key](repeating: zeroKey, count: Int(batch))
        var values = [Value](repeating: zeroValue, count: Int(batch))
        var result: [(Key, Value)] = []
        // A position is as long as a key, and for some maps a bucket's number.
        var position = [UInt8](repeating: 0, count: max(8, Int(shape.keySize)))
        var isFirst = true
        while true {
            var (count, from) = (batch, position)
            let status = unsafe from.withUnsafeMutableBytes { from in
                unsafe bpf_map_lookup_batch(
                    descriptor.raw, isFirst ? nil : from.baseAddress, &position, &keys, &values, &count, nil)
            }
            if status != -ENOENT { try check(status, "read") }
            result += zip(keys, values).prefix(Int(count))
            if status == -ENOENT { return result }
            isFirst = false
        }
    }

    /// The values of an array from one index on.
    func values<Value: BitwiseCopyable>(
        from first: UInt32, count: UInt32, zero: Value
    ) throws(DatapathError) -> [Value] {
        var keys = [UInt32](repeating: 0, count: Int(count))
        var values = [Value](repeating: zero, count: Int(count))
        var (wanted, position, before) = (count, UInt32(0), first &- 1)
        let status = unsafe withUnsafeMutablePointer(to: &before) { before in
            unsafe bpf_map_lookup_batch(
                descriptor.raw, first == 0 ? nil : before, &position, &keys, &values, &wanted, nil)
        }
        if status != -ENOENT { try check(status, "read") }
        guard wanted == count, keys.first == first else {
            throw DatapathError("read the table `\(shape.name)`", because: "it is shorter than it should be")
        }
        return values
    }

    /// The same of an array that can be seen as memory, which is much faster.
    ///
    /// Values must fill their places in the array: a multiple of eight bytes.
    func mappedValues<Value: BitwiseCopyable>(
        from first: UInt32, count: UInt32, of: Value.Type
    ) throws(DatapathError) -> [Value] {
        try unsafe withMapped(from: first, count: count, of: Value.self) { unsafe Array($0) }
    }

    /// Those values of it that are not all zero, each with its place behind the first; what is empty is only looked at.
    func mappedEntries<Value: BitwiseCopyable>(
        from first: UInt32, count: UInt32, of: Value.Type
    ) throws(DatapathError) -> [(UInt32, Value)] {
        let (size, block) = (MemoryLayout<Value>.stride, 256)
        let zero = [UInt8](repeating: 0, count: size * block)
        return try unsafe withMapped(from: first, count: count, of: Value.self) { values in
            guard let base = unsafe UnsafeRawPointer(values.baseAddress) else { return [] }
            func isUsed(_ range: Range<Int>) -> Bool {
                unsafe memcmp(base + range.lowerBound * size, zero, range.count * size) != 0
            }
            let blocks = stride(from: 0, to: Int(count), by: block).map { $0..<min($0 + block, Int(count)) }
            let places = blocks.filter(isUsed).flatMap { $0.filter { isUsed($0..<$0 + 1) } }
            return places.map { place in unsafe (UInt32(place), values[place]) }
        }
    }

    private func withMapped<Value: BitwiseCopyable, Result>(
        from first: UInt32, count: UInt32, of: Value.Type, _ body: (UnsafeBufferPointer<Value>) -> Result
    ) throws(DatapathError) -> Result {
        let stride = MemoryLayout<Value>.stride
        precondition(stride % 8 == 0 && stride == Int(shape.valueSize) && first + count <= shape.entries)
        let length = Int(shape.entries) * stride
        let mapped = unsafe mmap(nil, length, PROT_READ, MAP_SHARED, descriptor.raw, 0)
        guard let base = unsafe mapped, unsafe base != UnsafeMutableRawPointer(bitPattern: -1) else {
            throw DatapathError("read the table `\(shape.name)`", errno: errno)
        }
        defer { unsafe munmap(base, length) }
        let start = unsafe base.advanced(by: Int(first) * stride).assumingMemoryBound(to: Value.self)
        return unsafe body(UnsafeBufferPointer(start: start, count: Int(count)))
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
    var flags: UInt32 = 0

    /// - Parameter inner: the descriptor of a map that is like all that the new one will hold, if it holds maps.
    func create(inner: Int32? = nil) throws(DatapathError) -> MapDescriptor {
        var options = bpf_map_create_opts()
        options.sz = MemoryLayout<bpf_map_create_opts>.size
        options.map_flags = flags
        options.inner_map_fd = UInt32(inner ?? 0)
        let result = unsafe bpf_map_create(type, name, keySize, valueSize, entries, &options)
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
            valueSize: information.value_size, entries: information.max_entries, flags: information.map_flags)
    }
}
