import CoordinationAPI
import Mesh
import Testing

@testable import PosternNode

@Suite struct WhoisTests {
    private static func mesh() throws -> (DemoMesh, NetworkMap.Session) {
        var mesh = try DemoMesh()
        mesh.addAgent("writer")
        try mesh.addService("ledger", on: "b", port: 80)
        try mesh.addService("c", on: "b", port: 81)
        let session = try mesh.addSession(of: "writer", on: "c")
        return (mesh, session)
    }

    @Test(arguments: [
        "ledger", "ledger.demo.internal", "LEDGER", "b", "b.demo.internal", "b.node", "b.node.demo.internal", "c",
    ])
    func `a name means the node that bears it, or that serves it`(name: String) throws {
        let (mesh, _) = try Self.mesh()
        let found = Whois(map: mesh.map).peers(named: name)
        #expect(found.map(\.node.rawValue) == ["b"])
        #expect(found.first?.services.map(\.rawValue) == ["c", "ledger"])
    }

    @Test func `a node is found though a service has its name`() throws {
        let (mesh, _) = try Self.mesh()
        #expect(Whois(map: mesh.map).peers(named: "c.node").map(\.node.rawValue) == ["c"])
    }

    @Test func `an address of either version is its owner's`() throws {
        let (mesh, session) = try Self.mesh()
        for address in ["\(mesh.map.pool.ipv4(at: session.offset))", "\(mesh.map.pool.ipv6(at: session.offset))"] {
            let found = Whois(map: mesh.map).peers(named: address)
            #expect(found.map(\.session) == [session.id])
            #expect(found.first?.agent == session.agent)
            #expect(found.first?.owner?.rawValue == "ann")
            #expect(found.first?.until == session.expires)
            #expect(found.first?.key == session.key)
        }
    }

    @Test func `an agent and an id mean sessions`() throws {
        let (mesh, session) = try Self.mesh()
        #expect(Whois(map: mesh.map).peers(named: "writer").map(\.session) == [session.id])
        #expect(Whois(map: mesh.map).peers(named: session.id.rawValue).map(\.session) == [session.id])
    }

    @Test(arguments: [
        "", ".", "nobody", "10.255.255.255", "127.0.0.1", "::1", "ledger.other.internal", "b.node.node",
        ".demo.internal", "demo.internal", "ledger..demo.internal",
    ])
    func `who is not in the map is nobody`(text: String) throws {
        #expect(Whois(map: try Self.mesh().0.map).peers(named: text).isEmpty)
    }
}
