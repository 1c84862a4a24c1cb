import Mesh
import Testing
import WireGuard

@testable import PosternNode

@Suite struct KeepaliveTests {
    private static func underlay(_ networks: [(String, Int)]) throws -> Underlay {
        Underlay(
            addresses: try networks.map { text, length in
                let address = try #require(IPAddress(text))
                return UnderlayAddress(
                    address: address, network: try #require(IPPrefix(address, length: length)), device: "eth0",
                    mtu: 1500)
            })
    }

    @Test(
        arguments: [
            ([("192.168.1.2", 24)], "203.0.113.9:1", true),
            ([("100.64.3.3", 10)], "203.0.113.9:1", true),
            ([("fd12::2", 64)], "[2001:db8::9]:1", true),
            ([("192.168.1.2", 24)], "10.9.9.9:1", true),
            // One network: no router is between.
            ([("192.168.1.2", 24)], "192.168.1.9:1", false),
            // A global address is our own everywhere.
            ([("192.168.1.2", 24), ("198.51.100.2", 24)], "203.0.113.9:1", false),
            ([("192.168.1.2", 24), ("2001:db8::2", 64)], "203.0.113.9:1", true),
            ([("192.168.1.2", 24), ("2001:db8::2", 64)], "[2001:db8:1::9]:1", false),
            // Without an address of the family nothing gets there anyway.
            ([], "203.0.113.9:1", false),
        ] as [([(String, Int)], String, Bool)])
    func `a flow is kept alive where a router stands before private addresses`(
        networks: [(String, Int)], endpoint: String, isKept: Bool
    ) throws {
        let (underlay, endpoint) = (try Self.underlay(networks), try #require(Endpoint(endpoint)))
        #expect(Keepalive.automatic.interval(towards: endpoint, from: underlay) == (isKept ? .seconds(25) : nil))
        #expect(Keepalive.always.interval(towards: endpoint, from: underlay) == .seconds(25))
        #expect(Keepalive.never.interval(towards: endpoint, from: underlay) == nil)
    }

    @Test func `a session keeps its flows alive, and nodes among themselves do not`() throws {
        var mesh = try DemoMesh()
        try mesh.addService("ledger", on: "b", port: 80)
        mesh.addAgent("one")
        mesh.setPolicy("permit (principal, action, resource);")
        let session = try mesh.addSession(of: "one", on: "a")
        let b = try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        let device = try #require(mesh.local[session.id]?.device)
        for (keepalive, expected) in [(Keepalive.always, Duration.seconds(25)), (.never, nil)] {
            var planner = Planner(node: mesh.node, keepalive: keepalive)
            let plan = try mesh.plan(with: &planner)
            #expect(plan.devices[device]?.configuration.peers[b.key]?.keepalive == expected)
            #expect(plan.devices[DemoMesh.device]?.configuration.peers[b.key]?.keepalive == nil)
        }
    }
}
