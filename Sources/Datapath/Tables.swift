internal import CBpf
internal import CPosternABI
internal import Mesh

/// The maps that every program of this node shares, pinned so that they outlive us.
///
/// What decides is one set in two copies. A change is written to the copy that no packet reads, then one word makes
/// it the one that holds, and once no packet is under way that began before, the other copy gets the same change.
/// So each packet is judged by the old set or by the new one, and what a change costs grows with it alone.
package struct Tables: ~Copyable, Sendable {
    let state: MapDescriptor
    let peers: MapDescriptor
    let holders: MapDescriptor
    let services: MapDescriptor
    let rows: MapDescriptor
    let timed: MapDescriptor
    let routes: MapDescriptor
    let clock: MapDescriptor
    let counters: MapDescriptor
    let limits: MapDescriptor
    let events: MapDescriptor
    let meshDevices: MapDescriptor
    let finder: PageFinder
    private let grace: GracePeriod

    /// Opens the tables pinned in a directory of a bpffs, and makes those that are missing.
    ///
    /// What an earlier life left half written is brought to what holds. The clock is started if none runs; that it
    /// cannot be is no error, for the programs then ask the kernel's.
    package init(pins path: String) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let opened = try Tables(opening: pins)
        try opened.catchUp()
        _ = try Ticker.ensureRunning(opened, pins: pins)
        self = opened
    }

    private init(opening pins: PinDirectory) throws(DatapathError) {
        let state = try Self.open(.state, in: pins)
        let peers = try Self.open(.peers, in: pins)
        let holders = try Self.open(.holders, in: pins)
        let services = try Self.open(.services, in: pins)
        let rows = try Self.open(.rows, in: pins)
        let timed = try Self.open(.timed, in: pins)
        let routes = try Self.open(.routes, in: pins)
        let clock = try Self.open(.clock, in: pins)
        let counters = try Self.open(.counters, in: pins)
        let limits = try Self.open(.limits, in: pins)
        let events = try Self.open(.events, in: pins)
        let meshDevices = try Self.open(.devices, in: pins)
        let finder = try PageFinder(rows: rows.descriptor)
        let grace = try GracePeriod()
        // Nothing that can fail comes between the first member and the last.
        self.state = state
        self.peers = peers
        self.holders = holders
        self.services = services
        self.rows = rows
        self.timed = timed
        self.routes = routes
        self.clock = clock
        self.counters = counters
        self.limits = limits
        self.events = events
        self.meshDevices = meshDevices
        self.finder = finder
        self.grace = grace
    }

    /// Unpins the tables; programs that use them keep them alive.
    package static func remove(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(SharedMap.allCases.map(\.rawValue) + [Ticker.pin], at: path)
    }

    /// Whether a timer tells the programs the time; otherwise each asks the kernel's clock, and is slower.
    package func hasClock() throws(DatapathError) -> Bool { try Ticker.isRunning(self) }

    private static func open(_ map: SharedMap, in pins: PinDirectory) throws(DatapathError) -> MapDescriptor {
        guard let found = try pins.open(map.rawValue) else {
            let created = map == .rows ? try createRows() : try map.shape.create()
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

    private static func createRows() throws(DatapathError) -> MapDescriptor {
        let page = try SharedMap.page.create()
        return try SharedMap.rows.shape.create(inner: page.descriptor.raw)
    }

    /// The map that an eBPF program knows by this name.
    func descriptor(of map: SharedMap) -> Int32 {
        switch map {
        case .state: state.descriptor.raw
        case .peers: peers.descriptor.raw
        case .holders: holders.descriptor.raw
        case .services: services.descriptor.raw
        case .rows: rows.descriptor.raw
        case .timed: timed.descriptor.raw
        case .routes: routes.descriptor.raw
        case .clock: clock.descriptor.raw
        case .counters: counters.descriptor.raw
        case .limits: limits.descriptor.raw
        case .events: events.descriptor.raw
        case .devices: meshDevices.descriptor.raw
        }
    }

    /// Performs the half that removes: afterwards no packet uses what was taken away.
    ///
    /// After an error `read` the tables before the next changes are made.
    package func tighten(_ changes: TableChanges) throws(DatapathError) { try commit(changes.tighten) }

    /// Performs the half that adds. Only after `tighten`.
    package func loosen(_ changes: TableChanges) throws(DatapathError) { try commit(changes.loosen) }

    /// Returns when every packet that was under way has been judged.
    func waitForPackets() throws(DatapathError) { try grace.pass() }
}

/// The maps by the names that the eBPF programs give them.
enum SharedMap: String, CaseIterable {
    case state, peers, holders, services, rows, timed, routes, clock, counters, limits, events, devices

    var shape: MapShape {
        switch self {
        case .state: shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_state>.size, 1)
        case .peers:
            shape(
                BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_peer_entry>.size, PT_COPIES * PT_POOL_SIZE,
                flags: BPF_F_MMAPABLE)
        case .holders:
            shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_holder>.size, PT_COPIES * PT_SLOTS, flags: BPF_F_MMAPABLE)
        case .services:
            shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_bucket>.size, PT_COPIES * PT_BUCKETS, flags: BPF_F_MMAPABLE)
        case .rows: shape(BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, PT_COPIES * PT_PAGES)
        case .timed:
            shape(
                BPF_MAP_TYPE_HASH, MemoryLayout<pt_timed_key>.size, MemoryLayout<pt_timed>.size,
                PT_COPIES * PT_TIMED_GRANTS, flags: BPF_F_NO_PREALLOC)
        case .routes:
            shape(
                BPF_MAP_TYPE_LPM_TRIE, MemoryLayout<pt_route_key>.size, MemoryLayout<pt_peer_entry>.size,
                PT_COPIES * PT_ROUTES, flags: BPF_F_NO_PREALLOC)
        case .clock: shape(BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_clock>.size, 1)
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

    /// The map that an eBPF program knows by this name; what every packet reads is a variable there.
    init?(inPrograms name: String) {
        switch name {
        case ".data.state": self = .state
        case ".data.clock": self = .clock
        default: self.init(rawValue: name)
        }
    }

    /// Some rows of the verdicts, which `rows` holds.
    static var page: MapShape {
        shape("page", BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_row>.size, PT_ROWS_PER_PAGE)
    }

    /// What a wall without programs stands around.
    static var wallPool: MapShape { shape("pool", BPF_MAP_TYPE_ARRAY, 4, MemoryLayout<pt_pool>.size, 1) }

    private func shape(
        _ type: bpf_map_type, _ key: Int, _ value: Int, _ entries: Int32, flags: Int = 0
    ) -> MapShape {
        Self.shape(rawValue, type, key, value, entries, flags: flags)
    }

    /// The name in the kernel says the layout's version, so that another one is never taken for ours.
    private static func shape(
        _ name: String, _ type: bpf_map_type, _ key: Int, _ value: Int, _ entries: Int32, flags: Int = 0
    ) -> MapShape {
        MapShape(
            name: "pt\(PT_ABI_VERSION)_\(name)", type: type, keySize: UInt32(key), valueSize: UInt32(value),
            entries: UInt32(entries), flags: UInt32(flags))
    }
}

/// Waits until every packet that was under way has been judged.
///
/// The kernel does so whenever a map that holds maps is written (`maybe_wait_bpf_programs`).
///
/// Not private: an optimised build lets other modules end it by its metadata, which a private type does not give them.
struct GracePeriod: ~Copyable, Sendable {
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
