import Glibc
import Mesh
import Testing

@testable import Datapath

/// A node whose default route leads to a neighbour on its LAN, who sees everything that goes there.
private struct Exit {
    let lan: LAN
    let tap: Tap
    let mount: PinMount

    init() throws {
        (lan, mount) = (try LAN(), try PinMount())
        try lan.node.ip("route add default via 192.0.2.2")
        try lan.node.ip("-6 route add default via 2001:db8::2")
        tap = try Tap(in: lan.neighbour)
    }

    func tables() throws -> Tables { try Tables(pins: mount.path + "/tables") }

    func raiseWall(_ tables: borrowing Tables) throws {
        try Wall.attach(around: pool, netns: lan.node.descriptor, tables: tables, pins: mount.path + "/wall")
        try Wall.verify(netns: lan.node.descriptor, pins: mount.path + "/wall")
    }

    /// Whether the kernel took a datagram for the address.
    @discardableResult
    func send(to address: String) throws -> Bool {
        let line = "echo x > /dev/udp/\(address)/9"
        return try run("ip", "netns", "exec", lan.node.name, "bash", "-c", line).status == 0
    }

    func dropped(_ tables: borrowing Tables) throws -> UInt64 {
        guard Wall.material == .links else {
            return try Wall.drops(netns: lan.node.descriptor, tables: tables).packets
        }
        return try tables.counts(at: .wall)[.leavesBesideTunnel]?.packets ?? 0
    }
}

/// Where a datagram goes that has an address of the pool at one end or at both.
struct Destination: CustomTestStringConvertible, Sendable {
    let address: String
    let isFromMeshAddress: Bool

    static let all =
        ["\(pool.ipv4(at: Who.agent))", "\(pool.ipv6(at: Who.agent))"]
        .flatMap {
            [Destination(address: $0, isFromMeshAddress: false), Destination(address: $0, isFromMeshAddress: true)]
        }
        + ["198.51.100.7", "2001:db8:9::1"].map { Destination(address: $0, isFromMeshAddress: true) }

    var testDescription: String { "\(address)\(isFromMeshAddress ? " from the mesh address" : "")" }
}

@Suite struct LeavingTests {
    @Test(arguments: Destination.all)
    func `what has an address of the pool leaves by the default route only without the wall`(
        destination: Destination
    ) throws {
        let exit = try Exit()
        let tables = try exit.tables()
        if destination.isFromMeshAddress {
            try exit.lan.node.ip("route replace default via 192.0.2.2 src \(LAN.meshAddress)")
            try exit.lan.node.ip("-6 route del default")
            try exit.lan.node.ip("-6 route add default via 2001:db8::2 src \(pool.ipv6(at: Who.node))")
        }
        #expect(try exit.send(to: destination.address))
        #expect(try eventually { exit.tap.packetsOfPool() > 0 })

        try exit.raiseWall(tables)
        _ = exit.tap.packetsOfPool()
        #expect(try !exit.send(to: destination.address))
        #expect(try exit.dropped(tables) == 1)
        #expect(exit.tap.packetsOfPool() == 0)
        #expect(try exit.send(to: "192.0.2.2") && exit.send(to: "2001:db8::2"))
        #expect(try exit.dropped(tables) == 1)
    }

    @Test(arguments: [true, false])
    func `a service's answer is not repeated in the clear once the mesh device is down`(isWalled: Bool) throws {
        let exit = try Exit()
        let tables = try exit.tables()
        let tunnel = try Tunnel(in: exit.lan.node)
        try tunnel.up()
        try Wall.setMeshDevices([tunnel.interface], netns: exit.lan.node.descriptor, tables: tables)
        if isWalled { try exit.raiseWall(tables) }
        let listener = try exit.lan.node.listen(port: Who.web)
        let opening = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.syn)
        try tunnel.write(opening.checksummed().packet)
        let answer = try #require(tunnel.readTCP(within: 2_000))
        #expect(answer[33] == Frame.syn | Frame.ack)
        #expect(try exit.dropped(tables) == 0 && exit.tap.packetsOfPool() == 0)

        try exit.lan.node.ip("link set mesh0 down")
        if isWalled {
            #expect(try eventually { try exit.dropped(tables) > 0 })
            #expect(exit.tap.packetsOfPool() == 0)
        } else {
            #expect(try eventually { exit.tap.packetsOfPool() > 0 })
        }
        _ = consume listener
    }

    @Test(arguments: ["\(pool.ipv4(at: Who.agent))", "\(pool.ipv6(at: Who.agent))"])
    func `the pool leaves through a mesh device and no longer when it is none`(address: String) throws {
        let exit = try Exit()
        let tables = try exit.tables()
        let tunnel = try Tunnel(in: exit.lan.node)
        try tunnel.up()
        try exit.lan.node.ip("-6 route add \(pool.v6Text) dev mesh0")
        try Wall.setMeshDevices([tunnel.interface], netns: exit.lan.node.descriptor, tables: tables)
        try exit.raiseWall(tables)
        #expect(try exit.send(to: address))
        #expect(tunnel.read(transport: 17, within: 2_000) != nil)
        #expect(try exit.dropped(tables) == 0)
        try Wall.setMeshDevices([], netns: exit.lan.node.descriptor, tables: tables)
        #expect(try !exit.send(to: address))
        #expect(try exit.dropped(tables) == 1)
        #expect(tunnel.read(transport: 17, within: 0) == nil)
    }

    @Test(arguments: ["\(LAN.meshAddress)", "\(pool.ipv6(at: Who.node))"])
    func `the node reaches its own mesh address through lo`(address: String) throws {
        let exit = try Exit()
        let tables = try exit.tables()
        try exit.raiseWall(tables)
        #expect(try exit.send(to: address))
        #expect(try Wall.drops(netns: exit.lan.node.descriptor, tables: tables) == Count())
    }
}
