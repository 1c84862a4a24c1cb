internal import CLinux
internal import CPosternABI
internal import Glibc
package import Mesh

/// Keeps the pool's addresses from being answered beside the tunnel: on the LAN, or on a container bridge.
///
/// A pinned netfilter link at prerouting, before everything else; flushing nftables does not touch it.
package enum Wall {
    private static let prerouting: Int32 = 0
    /// Before connection tracking. The kernel takes one eBPF link at each priority: a new wall stands beside the
    /// old one until it has taken its pin.
    private static let priorities: [Int32] = [-300, -301, -302, -303]
    private static let families: [(name: String, number: Int32)] = [("wall4", 2), ("wall6", 10)]

    /// Puts the wall up in a network namespace (nil: our own), in the place of an earlier one of the same pins.
    ///
    /// Only devices given to `setMeshDevices` and `lo` pass it: up before the mesh address is.
    package static func attach(
        around pool: AddressPool, netns: Int32?, tables: borrowing Tables, pins path: String
    ) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let object = try load(pool, tables: tables)
        for family in families {
            let link = try raise(object.descriptor(of: "wall"), family.number, netns ?? -1, around: pool)
            try pins.replace(family.name, with: link)
        }
    }

    private static func raise(
        _ program: Int32, _ family: Int32, _ netns: Int32, around pool: AddressPool
    ) throws(DatapathError) -> Descriptor {
        var result = -EBUSY
        for priority in priorities where result == -EBUSY {
            result = pt_bpf_link_netfilter(netns, program, family, prerouting, priority)
        }
        return Descriptor(owning: try DatapathError.check(result, "put up the wall around \(pool.v4Text)"))
    }

    /// Throws unless the wall's links are pinned.
    package static func verify(pins path: String) throws(DatapathError) {
        let pins = PinDirectory(existing: path)
        for family in families where try pins.open(family.name) == nil {
            throw DatapathError("rely on the wall", because: "`\(pins.file(family.name))` is gone")
        }
    }

    /// Says on which interfaces (by index, where the wall stands) the pool may come in, beside `lo`.
    package static func setMeshDevices(_ interfaces: Set<UInt32>, tables: borrowing Tables) throws(DatapathError) {
        for (interface, _) in try tables.meshDevices.entries(key: UInt32(0), value: UInt32(0))
        where !interfaces.contains(interface) {
            try tables.meshDevices.remove(interface)
        }
        for interface in interfaces { try tables.meshDevices.put(interface, UInt32(1)) }
    }

    /// What the wall has dropped.
    package static func drops(tables: borrowing Tables) throws(DatapathError) -> Count {
        try tables.counts(at: .wall)[.besideTunnel] ?? Count()
    }

    package static func detach(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(families.map(\.name), at: path)
    }

    private static func load(_ pool: AddressPool, tables: borrowing Tables) throws(DatapathError) -> ProgramObject {
        let object = try ProgramObject("wall", base64: wallObject)
        try object.freeze(pt_pool(v6_prefix: pool.v6Prefix, v4_base: pool.v4Base.rawValue, pad: 0))
        try object.share(tables)
        try object.setType(of: "wall", type: UInt32(PT_PROGRAM_NETFILTER), attachType: UInt32(PT_NETFILTER))
        try object.load()
        return object
    }
}
