internal import CBpf
internal import CPosternABI
internal import Mesh

/// The maps that every program of this node shares, pinned so that they outlive us.
package struct Tables: ~Copyable, Sendable {
    let peers: MapDescriptor
    let services: MapDescriptor
    let rows: MapDescriptor
    let verdicts: MapDescriptor
    let counters: MapDescriptor
    let limits: MapDescriptor
    let events: MapDescriptor
    let meshDevices: MapDescriptor
    private let grace: GracePeriod

    /// Opens the tables pinned in a directory of a bpffs, and makes those that are missing.
    package init(pins path: String) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let peers = try Self.open(.peers, in: pins)
        let services = try Self.open(.services, in: pins)
        let rows = try Self.open(.rows, in: pins)
        let verdicts = try Self.open(.verdicts, in: pins)
        let counters = try Self.open(.counters, in: pins)
        let limits = try Self.open(.limits, in: pins)
        let events = try Self.open(.events, in: pins)
        let meshDevices = try Self.open(.devices, in: pins)
        let grace = try GracePeriod()
        // Nothing that can fail comes between the first member and the last.
        self.peers = peers
        self.services = services
        self.rows = rows
        self.verdicts = verdicts
        self.counters = counters
        self.limits = limits
        self.events = events
        self.meshDevices = meshDevices
        self.grace = grace
    }

    /// Unpins the tables; programs that use them keep them alive.
    package static func remove(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(SharedMap.allCases.map(\.rawValue), at: path)
    }

    private static func open(_ map: SharedMap, in pins: PinDirectory) throws(DatapathError) -> MapDescriptor {
        guard let found = try pins.open(map.rawValue) else {
            let created = try map.shape.create()
            try pins.pin(created.descriptor, as: map.rawValue)
            return created
        }
        guard try MapShape.of(found) == map.shape else {
            throw DatapathError(
                "use the table pinned at `\(pins.file(map.rawValue))`",
                because: "it was made by another version; take the mesh down, then remove it")
        }
        return MapDescriptor(descriptor: found, shape: map.shape)
    }

    /// The map that an eBPF program knows by this name.
    func descriptor(of map: SharedMap) -> Int32 {
        switch map {
        case .peers: peers.descriptor.raw
        case .services: services.descriptor.raw
        case .rows: rows.descriptor.raw
        case .verdicts: verdicts.descriptor.raw
        case .counters: counters.descriptor.raw
        case .limits: limits.descriptor.raw
        case .events: events.descriptor.raw
        case .devices: meshDevices.descriptor.raw
        }
    }

    /// Performs the half that removes, and waits until no packet is judged by what was there before.
    ///
    /// After an error the tables are somewhere between: `read` them before the next changes are made.
    /// The wait lets slots, classes and generations be used anew: a packet reads several tables in turn.
    package func tighten(_ changes: TableChanges) throws(DatapathError) {
        guard !changes.tighten.isEmpty else { return }
        try write(changes.tighten)
        try grace.pass()
    }

    /// Performs the half that adds. Only after `tighten`.
    package func loosen(_ changes: TableChanges) throws(DatapathError) { try write(changes.loosen) }
}

/// The maps by the names that the eBPF programs give them.
enum SharedMap: String, CaseIterable {
    case peers, services, rows, verdicts, counters, limits, events, devices

    var shape: MapShape {
        switch self {
        case .peers: shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_peer_entry>.size, PT_POOL_SIZE)
        case .services: shape(BPF_MAP_TYPE_HASH, MemoryLayout<pt_service>.size, 4, PT_SERVICES)
        case .rows: shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_row>.size, PT_SLOTS)
        case .verdicts: shape(BPF_MAP_TYPE_ARRAY, 4, 8, PT_SLOTS * PT_WORDS)
        case .counters:
            shape(
                BPF_MAP_TYPE_PERCPU_ARRAY, 4, MemoryLayout<pt_counter>.size,
                Int32(PT_PLACES.rawValue * PT_REASONS.rawValue))
        case .limits:
            shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_limit>.size, PT_SLOTS * Int32(PT_EVENT_KINDS.rawValue))
        case .events: shape(BPF_MAP_TYPE_RINGBUF, 0, 0, PT_EVENT_RING_BYTES)
        case .devices: shape(BPF_MAP_TYPE_HASH, 4, 4, PT_MESH_DEVICES)
        }
    }

    /// The name in the kernel says the layout's version, so that another one is never taken for ours.
    private func shape(_ type: bpf_map_type, _ key: Int, _ value: Int, _ entries: Int32) -> MapShape {
        MapShape(
            name: "pt\(PT_ABI_VERSION)_\(rawValue)", type: type, keySize: UInt32(key), valueSize: UInt32(value),
            entries: UInt32(entries))
    }
}

/// Waits until every packet that was under way has been judged.
///
/// The kernel does so whenever a map that holds maps is written (`maybe_wait_bpf_programs`).
private struct GracePeriod: ~Copyable, Sendable {
    private let outer: Descriptor
    private let inner: Descriptor

    init() throws(DatapathError) {
        let made = unsafe bpf_map_create(BPF_MAP_TYPE_ARRAY, "pt_grace_in", 4, 4, 1, nil)
        let inner = Descriptor(owning: try DatapathError.check(made, "create a table"))
        var options = bpf_map_create_opts()
        options.sz = MemoryLayout<bpf_map_create_opts>.size
        options.inner_map_fd = UInt32(inner.raw)
        let result = unsafe bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "pt_grace", 4, 4, 1, &options)
        self.outer = Descriptor(owning: try DatapathError.check(result, "create a table of tables"))
        self.inner = inner
    }

    func pass() throws(DatapathError) {
        var (key, value) = (UInt32(0), inner.raw)
        try DatapathError.check(
            unsafe bpf_map_update_elem(outer.raw, &key, &value, 0), "wait for the packets under way")
    }
}
