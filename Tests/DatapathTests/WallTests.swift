import Glibc
import Mesh
import Testing

@testable import Datapath

/// A node with a mesh address, and a neighbour on its LAN that routes the pool to it.
private struct LAN {
    let node: Namespace
    let neighbour: Namespace
    let lan: UInt32
    static let nodeAddress = IPv4Address("192.0.2.1")!
    static let meshAddress = pool.ipv4(at: Who.node)

    init() throws {
        (node, neighbour) = (try Namespace(), try Namespace())
        try neighbour.ip("link add lan type veth peer name lan netns \(node.name)")
        try node.ip("addr add \(Self.nodeAddress)/24 dev lan")
        try node.ip("addr add \(Self.meshAddress)/32 dev lo")
        try node.ip("-6 addr add \(pool.ipv6(at: Who.node))/128 dev lo")
        try node.ip("-6 addr add 2001:db8::1/64 dev lan nodad")
        try node.ip("link set lan up")
        try neighbour.ip("addr add 192.0.2.2/24 dev lan")
        try neighbour.ip("-6 addr add 2001:db8::2/64 dev lan nodad")
        try neighbour.ip("link set lan up")
        try neighbour.ip("route add \(pool.v4Text) via \(Self.nodeAddress)")
        try neighbour.ip("-6 route add \(pool.v6Text) via 2001:db8::1")
        lan = try node.index(of: "lan")
    }
}

@Suite struct WallTests {
    @Test func `a neighbour reaches the mesh address without the wall, and with it only the underlay's`() throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        let listener = try lan.node.listen(port: Who.web)
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())

        try raise(around: lan, tables, mount)
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(try eventually { try Wall.drops(tables: tables).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
        #expect(try lan.neighbour.connect(to: LAN.nodeAddress, port: Who.web).isConnected())
        #expect(try lan.node.connect(to: LAN.meshAddress, port: Who.web).isConnected())

        try Wall.detach(pins: mount.path + "/wall")
        #expect(throws: DatapathError.self) { try Wall.verify(pins: mount.path + "/wall") }
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())
        _ = consume listener
    }

    @Test func `the pool passes on a mesh device and no longer when it is none`() throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        let listener = try lan.node.listen(port: Who.web)
        try raise(around: lan, tables, mount)
        try Wall.setMeshDevices([lan.lan], tables: tables)
        #expect(try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web).isConnected())
        try Wall.setMeshDevices([lan.lan + 1000], tables: tables)
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(try eventually { try Wall.drops(tables: tables).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
        _ = consume listener
    }

    @Test func `IPv6 of the pool is dropped too, also from it`() throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount)
        try must(
            "ip netns exec \(lan.neighbour.name) bash -c ': > /dev/udp/\(pool.ipv6(at: Who.node))/9; echo x > /dev/udp/\(pool.ipv6(at: Who.node))/9'"
        )
        #expect(try eventually { try Wall.drops(tables: tables).packets >= 1 })
        let before = try Wall.drops(tables: tables).packets
        try lan.neighbour.ip("addr add \(pool.ipv4(at: Who.agent))/32 dev lo")
        try lan.neighbour.ip("route add 192.0.2.128/25 via \(LAN.nodeAddress) src \(pool.ipv4(at: Who.agent))")
        try must("ip netns exec \(lan.neighbour.name) bash -c 'echo x > /dev/udp/192.0.2.129/9'")
        #expect(try eventually { try Wall.drops(tables: tables).packets > before })
    }

    @Test func `raising the wall again replaces it`() throws {
        let (lan, mount) = (try LAN(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try raise(around: lan, tables, mount)
        try raise(around: lan, tables, mount)
        try Wall.verify(pins: mount.path + "/wall")
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(try eventually { try Wall.drops(tables: tables).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
    }

    private func raise(around lan: LAN, _ tables: borrowing Tables, _ mount: PinMount) throws {
        try Wall.attach(around: pool, netns: lan.node.descriptor, tables: tables, pins: mount.path + "/wall")
        try Wall.verify(pins: mount.path + "/wall")
    }
}
