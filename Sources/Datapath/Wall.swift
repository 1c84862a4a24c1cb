internal import CLinux
internal import CPosternABI
internal import Glibc
package import Mesh

/// Keeps the pool's addresses inside the tunnel: nothing of them is answered on the LAN or on a container bridge,
/// and nothing of them leaves there.
///
/// Pinned netfilter links, before everything else at prerouting and at postrouting; flushing nftables does not
/// touch them. On the way out, too, first is the place: a later rule may give a packet another source. Kernels
/// before 6.4 have no such links: there the wall is a table of nftables.
package enum Wall {
    /// Where a program of the wall stands, and the name of its pin.
    private struct Gate {
        let pin: String
        let program: String
        let family: UInt32
        let hook: UInt32
    }

    private static let (v4, v6) = (UInt32(2), UInt32(10))
    private static let (prerouting, postrouting) = (UInt32(0), UInt32(4))
    private static let programs = ["arriving", "leaving"]
    private static let gates = [
        Gate(pin: "wall4", program: "arriving", family: v4, hook: prerouting),
        Gate(pin: "wall6", program: "arriving", family: v6, hook: prerouting),
        Gate(pin: "wall4-out", program: "leaving", family: v4, hook: postrouting),
        Gate(pin: "wall6-out", program: "leaving", family: v6, hook: postrouting),
    ]
    /// How a kernel takes a wall.
    package enum Material: String, Sendable, CaseIterable { case links, table }

    /// What this kernel has.
    package static let material: Material = pt_bpf_has_netfilter_links() == 1 ? .links : .table

    /// Before connection tracking and every translation. The kernel takes one eBPF link at each priority: a new
    /// wall stands beside the old one until it has taken its pin.
    private static let priorities: [Int32] = [-300, -301, -302, -303]

    /// Puts the wall up in a network namespace (nil: our own), in the place of an earlier one of the same pins.
    ///
    /// Only devices given to `setMeshDevices` and `lo` pass it: up before the mesh address is.
    package static func attach(
        around pool: AddressPool, netns: Int32?, tables: borrowing Tables, pins path: String,
        of material: Material = material
    ) throws(DatapathError) {
        if material == .table {
            try remember(pool, in: PinDirectory(path))
            return try WallTable(pool: pool).raise(devices: meshDevices(tables: tables), netns: netns)
        }
        let pins = try PinDirectory(path)
        let object = try load(pool, tables: tables)
        for gate in gates {
            let link = try raise(object.descriptor(of: gate.program), at: gate, netns ?? -1, around: pool)
            try pins.replace(gate.pin, with: link)
        }
    }

    private static func raise(
        _ program: Int32, at gate: Gate, _ netns: Int32, around pool: AddressPool
    ) throws(DatapathError) -> Descriptor {
        var result = -EBUSY
        for priority in priorities where result == -EBUSY {
            result = pt_bpf_link_netfilter(netns, program, Int32(gate.family), Int32(gate.hook), priority)
        }
        return Descriptor(owning: try DatapathError.check(result, "put up the wall around \(pool.v4Text)"))
    }

    /// Throws unless the whole wall stands in this network namespace (nil: our own).
    package static func verify(
        netns: Int32? = nil, pins path: String, of material: Material = material
    ) throws(DatapathError) {
        let pins = PinDirectory(existing: path)
        if material == .table {
            guard let pool = try recalled(from: pins) else {
                throw DatapathError("rely on the wall", because: "`\(pins.file(poolPin))` is gone")
            }
            return try WallTable(pool: pool).verify(netns: netns)
        }
        for gate in gates {
            let (operation, file) = ("rely on the wall", pins.file(gate.pin))
            guard let link = try pins.open(gate.pin) else {
                throw DatapathError(operation, because: "`\(file)` is gone")
            }
            var information = pt_bpf_link()
            try DatapathError.check(unsafe pt_bpf_link_info(link.raw, &information), operation)
            guard information.family == gate.family, information.hook == gate.hook else {
                throw DatapathError(operation, because: "`\(file)` is another link")
            }
            guard try DatapathError.check(unsafe pt_bpf_netfilter_stands(netns ?? -1, &information), operation) == 1
            else { throw DatapathError(operation, because: "`\(file)` is not attached") }
        }
    }

    /// Says on which interfaces (by index, where the wall stands) the pool may come in and go out, beside `lo`.
    package static func setMeshDevices(
        _ interfaces: Set<UInt32>, netns: Int32? = nil, tables: borrowing Tables, of material: Material = material
    ) throws(DatapathError) {
        for (interface, _) in try tables.meshDevices.entries(key: UInt32(0), value: UInt32(0))
        where !interfaces.contains(interface) {
            try tables.meshDevices.remove(interface)
        }
        for interface in interfaces { try tables.meshDevices.put(interface, UInt32(1)) }
        if material == .table { try WallTable.setDevices(interfaces, netns: netns) }
    }

    /// The interfaces on which the pool may come in and go out.
    package static func meshDevices(tables: borrowing Tables) throws(DatapathError) -> Set<UInt32> {
        Set(try tables.meshDevices.entries(key: UInt32(0), value: UInt32(0)).map(\.0))
    }

    /// What the wall has dropped, in both directions.
    package static func drops(
        netns: Int32? = nil, tables: borrowing Tables, of material: Material = material
    ) throws(DatapathError) -> Count {
        if material == .table { return try WallTable.drops(netns: netns) }
        return try tables.counts(at: .wall).values.reduce(into: Count()) { sum, count in
            sum = Count(packets: sum.packets + count.packets, bytes: sum.bytes + count.bytes)
        }
    }

    package static func detach(
        netns: Int32? = nil, pins path: String, of material: Material = material
    ) throws(DatapathError) {
        if material == .table { try WallTable.remove(netns: netns) }
        try PinDirectory.removeAll(gates.map(\.pin) + [poolPin], at: path)
    }

    // MARK: the pool of a wall that has no programs to freeze it into

    private static let poolPin = "pool"

    private static func remember(_ pool: AddressPool, in pins: PinDirectory) throws(DatapathError) {
        let map = try SharedMap.wallPool.create()
        try map.put(UInt32(0), pt_pool(v6_prefix: pool.v6Prefix, v4_base: pool.v4Base.rawValue, pad: 0))
        try pins.replace(poolPin, with: map.descriptor)
    }

    private static func recalled(from pins: PinDirectory) throws(DatapathError) -> AddressPool? {
        guard let found = try pins.open(poolPin), try MapShape.of(found) == SharedMap.wallPool else { return nil }
        let raw = try MapDescriptor(descriptor: found, shape: SharedMap.wallPool).value(at: UInt32(0), into: pt_pool())
        return AddressPool(v4Base: IPv4Address(rawValue: raw.v4_base), v6Prefix: raw.v6_prefix)
    }

    private static func load(_ pool: AddressPool, tables: borrowing Tables) throws(DatapathError) -> ProgramObject {
        let object = try ProgramObject("wall", base64: wallObject)
        try object.freeze(pt_pool(v6_prefix: pool.v6Prefix, v4_base: pool.v4Base.rawValue, pad: 0))
        try object.share(tables)
        for program in programs {
            try object.setType(of: program, type: UInt32(PT_PROGRAM_NETFILTER), attachType: UInt32(PT_NETFILTER))
        }
        try object.load()
        return object
    }
}
