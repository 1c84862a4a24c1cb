import CBpf
import Glibc
import Mesh
import Testing

@testable import Datapath

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
        #expect(throws: DatapathError.self) { try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall") }
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
        let refused = try lan.neighbour.connect(to: LAN.meshAddress, port: Who.web)
        #expect(try eventually { try Wall.drops(tables: tables).packets >= 1 })
        #expect(!refused.isConnected(within: 50))
    }

    @Test(arguments: ["wall4", "wall6", "wall4-out", "wall6-out"])
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
        try raise(around: lan, tables, mount)
        let link = try existing(name, in: pins)
        #expect(bpf_link_detach(link.raw) == 0)
        #expect(complaint() == "`\(pins.file(name))` is not attached")
        try raise(around: lan, tables, mount)
        try pins.remove(name)
        #expect(complaint() == "`\(pins.file(name))` is gone")
        try raise(around: lan, tables, mount)
        try pins.replace(name, with: try existing(name == "wall4" ? "wall6" : "wall4", in: pins))
        #expect(complaint() == "`\(pins.file(name))` is another link")
    }

    private func existing(_ name: String, in pins: PinDirectory) throws -> Descriptor {
        guard let link = try pins.open(name) else { throw Failure("no link \(name)") }
        return link
    }

    private func raise(around lan: LAN, _ tables: borrowing Tables, _ mount: PinMount) throws {
        try Wall.attach(around: pool, netns: lan.node.descriptor, tables: tables, pins: mount.path + "/wall")
        try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall")
    }
}
