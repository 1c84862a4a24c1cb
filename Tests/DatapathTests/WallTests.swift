import CBpf
import Glibc
import Mesh
import Testing

@testable import Datapath

extension Wall.Material {
    /// What this kernel can do; a table it always can.
    static let available: [Self] = Wall.material == .links ? [.links, .table] : [.table]
}

@Suite struct WallTests {
    @Test(arguments: Wall.Material.available)
    func `a neighbour reaches the mesh address without the wall, and with it only the underlay's`(
        material: Wall.Material
    ) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        let listener = try lan.node.listen(port: Who.web)
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())

        try raise(around: lan, tables, mount, material)
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(
            try eventually { try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
        #expect(try lan.neighbour.connect(to: LAN.nodeAddress, port: Who.web).isConnected())
        #expect(try lan.node.connect(to: LAN.meshAddress, port: Who.web).isConnected())

        try Wall.detach(netns: lan.node.descriptor, pins: mount.path + "/wall", of: material)
        #expect(throws: DatapathError.self) {
            try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall", of: material)
        }
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())
        _ = consume listener
    }

    @Test(arguments: Wall.Material.available)
    func `the pool passes on a mesh device and no longer when it is none`(material: Wall.Material) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        let listener = try lan.node.listen(port: Who.web)
        try raise(around: lan, tables, mount, material)
        try Wall.setMeshDevices(
            [lan.lan], netns: lan.node.descriptor, tables: tables, of: material)
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())
        try Wall.setMeshDevices(
            [lan.lan + 1000], netns: lan.node.descriptor, tables: tables, of: material)
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(
            try eventually { try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
        _ = consume listener
    }

    @Test(arguments: Wall.Material.available)
    func `IPv6 of the pool is dropped too, also from it`(material: Wall.Material) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount, material)
        try must(
            "ip netns exec \(lan.neighbour.name) bash -c ': > /dev/udp/\(pool.ipv6(at: Who.node))/9; echo x > /dev/udp/\(pool.ipv6(at: Who.node))/9'"
        )
        #expect(
            try eventually { try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets >= 1 })
        let before = try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets
        try lan.neighbour.ip("addr add \(pool.ipv4(at: Who.agent))/32 dev lo")
        try lan.neighbour.ip("route add 192.0.2.128/25 via \(LAN.nodeAddress) src \(pool.ipv4(at: Who.agent))")
        try must("ip netns exec \(lan.neighbour.name) bash -c 'echo x > /dev/udp/192.0.2.129/9'")
        #expect(
            try eventually { try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets > before }
        )
    }

    @Test(arguments: Wall.Material.available)
    func `raising the wall again replaces it`(material: Wall.Material) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount, material)
        try raise(around: lan, tables, mount, material)
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(
            try eventually { try Wall.drops(netns: lan.node.descriptor, tables: tables, of: material).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
    }

    @Test(arguments: Wall.material == .links ? ["wall4", "wall6", "wall4-out", "wall6-out"] : [])
    func `a link that is gone, torn off or another is noticed, and put back`(name: String) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        let pins = PinDirectory(existing: mount.path + "/wall")
        func complaint() -> String? {
            do throws(DatapathError) { try Wall.verify(netns: lan.node.descriptor, pins: pins.path) } catch {
                return error.cause
            }
            return nil
        }
        try raise(around: lan, tables, mount, .links)
        let link = try existing(name, in: pins)
        #expect(bpf_link_detach(link.raw) == 0)
        #expect(complaint() == "`\(pins.file(name))` is not attached")
        try raise(around: lan, tables, mount, .links)
        try pins.remove(name)
        #expect(complaint() == "`\(pins.file(name))` is gone")
        try raise(around: lan, tables, mount, .links)
        try pins.replace(name, with: try existing(name == "wall4" ? "wall6" : "wall4", in: pins))
        #expect(complaint() == "`\(pins.file(name))` is another link")
    }

    private func existing(_ name: String, in pins: PinDirectory) throws -> Descriptor {
        guard let link = try pins.open(name) else { throw Failure("no link \(name)") }
        return link
    }

    @Test(arguments: [
        ("flush ruleset", "is gone"), ("delete table inet postern", "is gone"),
        ("flush chain inet postern leaving", "is not as we made it"),
        ("insert rule inet postern arriving accept", "is not as we made it"),
        ("add chain inet postern other", "is not as we made it"),
    ])
    func `a table that is changed by others is noticed, and put back`(script: String, complaint: String) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount, .table)
        try must("ip netns exec \(lan.node.name) nft \(script)")
        let error = #expect(throws: DatapathError.self) {
            try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall", of: .table)
        }
        #expect(error?.cause == "its nftables table `postern` \(complaint)")
        try raise(around: lan, tables, mount, .table)
    }

    @Test(arguments: ["flush ruleset", "flush chain inet postern leaving", "delete set inet postern other"])
    func `whoever watches the firewall hears at once that it was changed, and only then`(script: String) throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount, .table)
        try must("ip netns exec \(lan.node.name) nft 'add set inet postern other { type inet_service; }'")
        let watch = try WallWatch(netns: lan.node.descriptor)
        var waiting = pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(unsafe poll(&waiting, 1, 0) == 0)
        try must("ip netns exec \(lan.node.name) nft \(script)")
        #expect(unsafe poll(&waiting, 1, 1_000) == 1)
        watch.drain()
        #expect(unsafe poll(&waiting, 1, 0) == 0)
    }

    @Test(.enabled(if: Wall.material == .links))
    func `links do not fall with the firewall`() throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount, .links)
        try must("ip netns exec \(lan.node.name) nft flush ruleset")
        try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall", of: .links)
    }

    private func raise(
        around lan: LAN, _ tables: borrowing Tables, _ mount: PinMount, _ material: Wall.Material
    ) throws {
        let (netns, pins) = (lan.node.descriptor, mount.path + "/wall")
        try Wall.attach(around: pool, netns: netns, tables: tables, pins: pins, of: material)
        try Wall.verify(netns: netns, pins: pins, of: material)
    }
}
