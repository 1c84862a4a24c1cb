import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

@Suite struct PlannerTests {
    private var mesh: DemoMesh

    /// Node `b` has a ledger and a wiki, node `a` a mailbox; `one` may connect to ledger and mailbox.
    init() throws {
        mesh = try DemoMesh()
        for agent in ["one", "two"] { mesh.addAgent(agent) }
        try mesh.addService("ledger", on: "b", port: 8080)
        try mesh.addService("wiki", on: "b", port: 8081)
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy(
            """
            permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");
            permit (principal == Agent::"one", action == Action::"connect", resource == Service::"mailbox");
            """)
    }

    @Test mutating func `a grant gives one verdict, for the one who may open and what he may open`() throws {
        mesh.setPolicy(#"permit (principal == Agent::"one", action, resource == Service::"ledger");"#)
        let session = try mesh.addSession(of: "one", on: "a")
        var plan = try mesh.plan()
        plan.tables = plan.tables.withoutLetters
        let caller = try #require(plan.tables.peers[session.offset])
        let number = try #require(plan.tables.services.first)
        #expect(plan.tables.services.count == 1)
        #expect(number.key.slot == plan.tables.peers[try node("b").offset]?.slot)
        #expect(number.key.port == (try port(8080)))
        #expect(plan.tables.verdicts == [VerdictKey(slot: caller.slot, serviceClass: number.value): .allow])
        #expect(plan.problems.isEmpty)
    }

    @Test mutating func `a node that must hear of the last end is spoken to, and nothing else is open to it`() throws {
        var planner = Planner(node: mesh.node)
        #expect(try mesh.plan(with: &planner).tables.verdicts.isEmpty)
        planner.correspondents = [NodeName(unchecked: "b"), NodeName(unchecked: "nobody")]
        let plan = try mesh.plan(with: &planner)
        #expect(plan.devices[mesh.node.device]?.configuration.peers.keys.map(\.self) == [try node("b").key])
        #expect(plan.tables.verdicts.count == 2)
        #expect(plan.tables.withoutLetters.verdicts.isEmpty)
    }

    @Test mutating func `what is not granted is not open`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        #expect(plan.opens(session, "ledger", of: mesh))
        #expect(plan.opens(session, "mailbox", of: mesh))
        #expect(!plan.opens(session, "wiki", of: mesh))
    }

    @Test mutating func `a session whose key is exchanged is the same peer by either key, and keeps its own for now`()
        throws
    {
        let session = try mesh.addSession(of: "one", on: "a")
        let before = try mesh.plan()
        let old = try #require(mesh.local[session.id])
        mesh.map.sessions[session.id]?.key = try key(777).publicKey
        #expect(try mesh.plan().devices[old.device] == nil)
        mesh.local[session.id] = LocalSession(
            id: old.id, agent: old.agent, device: old.device, key: old.key, port: old.port, next: try key(777))
        let during = try mesh.plan()
        #expect(during.devices[old.device] == before.devices[old.device])
        #expect((during.tables, during.grantedNodes, during.problems) == (before.tables, before.grantedNodes, []))
        mesh.local[session.id] = LocalSession(
            id: old.id, agent: old.agent, device: old.device, key: try key(777), port: old.port)
        let after = try mesh.plan()
        #expect(after.tables == before.tables)
        #expect(after.devices[old.device]?.configuration.privateKey.publicKey == (try key(777).publicKey))
        #expect(after.devices[old.device]?.identity == before.devices[old.device]?.identity)
    }

    @Test mutating func `a session without grants has a device without peers`() throws {
        let session = try mesh.addSession(of: "two", on: "a")
        let plan = try mesh.plan()
        let device = try device(of: session, in: plan)
        #expect(device.configuration.peers.isEmpty)
        #expect(device.owner == .session(session.id))
        #expect(device.identity.kind == .session)
        #expect(device.identity.offset == session.offset)
        #expect(plan.tables.verdicts.isEmpty)
        #expect(plan.grantedNodes == [session.id: []])
    }

    @Test mutating func `a remote session that may call this node is its peer, with its two addresses alone`() throws {
        let session = try mesh.addSession(of: "one", on: "b")
        let plan = try mesh.plan()
        let peers = try nodeDevice(of: plan).configuration.peers
        // Where it speaks from is learnt from its packets, so that it may roam.
        // Its node is one too, to which this one may write of sessions.
        let other = try node(session.node.rawValue)
        let own = try peer(at: other.offset, other.endpoints.first)
        #expect(peers == [session.key: try peer(at: session.offset, nil), other.key: own])
        #expect(plan.opens(session, "mailbox", of: mesh))
    }

    @Test mutating func `a remote session without a grant here is in no table and no peer`() throws {
        try mesh.addSession(of: "two", on: "b")
        let plan = try mesh.plan()
        #expect(Set(plan.tables.peers.keys) == [try node("a").offset])
        #expect(plan.tables.services.isEmpty)
        #expect(plan.tables.verdicts.isEmpty)
        #expect(try nodeDevice(of: plan).configuration.peers.isEmpty)
    }

    @Test mutating func `what a remote session may open on other nodes is in no table of this one`() throws {
        let remote = try mesh.addSession(of: "one", on: "c")
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        #expect(plan.opens(session, "ledger", of: mesh))
        #expect(plan.opens(remote, "mailbox", of: mesh))
        #expect(!plan.opens(remote, "ledger", of: mesh))
        #expect(plan.tables.withoutLetters.verdicts.count == 3)
    }

    @Test mutating func `a session's peers are the nodes of its granted services`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        let (a, b) = (try node("a"), try node("b"))
        #expect(
            try device(of: session, in: plan).configuration.peers == [
                a.key: try peer(at: a.offset, a.endpoints.first), b.key: try peer(at: b.offset, b.endpoints.first),
            ])
        #expect(plan.grantedNodes == [session.id: [a.name, b.name]])
    }

    @Test(arguments: [
        (#"permit (principal, action, resource == Service::"ledger");"#, false),
        (#"permit (principal, action, resource == Service::"twin");"#, false),
        (#"permit (principal, action, resource);"#, true),
    ])
    func `two services on one port are open together or not at all`(policy: String, open: Bool) throws {
        var mesh = mesh
        try mesh.addService("twin", on: "b", port: 8080)
        mesh.setPolicy(policy)
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        #expect(plan.opens(session, "ledger", of: mesh) == open)
        #expect(plan.tables.verdicts.isEmpty == !open)
        let device = try #require(mesh.local[session.id]?.device)
        #expect(plan.devices[device]?.configuration.peers.isEmpty == !open)
    }

    @Test mutating func `a service on an unknown node is in no table`() throws {
        try mesh.addService("nowhere", on: "z", port: 8080)
        mesh.setPolicy(#"permit (principal, action, resource == Service::"nowhere");"#)
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        #expect(plan.tables.services.isEmpty)
        #expect(try device(of: session, in: plan).configuration.peers.isEmpty)
    }

    @Test mutating func `a disabled agent opens nothing, whatever the policies say`() throws {
        mesh.addAgent("one", disabled: true)
        try mesh.addSession(of: "one", on: "a")
        try mesh.addSession(of: "one", on: "b")
        let plan = try mesh.plan()
        #expect(plan.tables.verdicts.isEmpty)
        #expect(plan.devices.values.allSatisfy { $0.configuration.peers.isEmpty })
    }

    @Test mutating func `a session of an agent that nobody defined opens nothing`() throws {
        mesh.setPolicy("permit (principal, action, resource);")
        try mesh.addSession(of: "ghost", on: "b")
        #expect(try mesh.plan().tables.verdicts.isEmpty)
    }

    @Test mutating func `a session that this node does not run is nobody here`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        mesh.local = [:]
        let plan = try mesh.plan()
        #expect(plan.tables.peers[session.offset] == nil)
        #expect(try nodeDevice(of: plan).configuration.peers.isEmpty)
        #expect(Set(plan.devices.keys) == [DemoMesh.device])
    }

    @Test mutating func `a session that the mesh does not know yet has no device`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        mesh.map.sessions[session.id] = nil
        let plan = try mesh.plan()
        #expect(Set(plan.devices.keys) == [DemoMesh.device])
        #expect(plan.problems.isEmpty)
    }

    private func node(_ name: String) throws -> NetworkMap.Node {
        try #require(mesh.map.nodes[NodeName(unchecked: name)])
    }

    private func nodeDevice(of plan: Plan) throws -> DevicePlan { try #require(plan.devices[DemoMesh.device]) }

    private func device(of session: NetworkMap.Session, in plan: Plan) throws -> DevicePlan {
        let device = try #require(mesh.local[session.id]?.device)
        return try #require(plan.devices[device])
    }

    private func peer(at offset: MeshOffset, _ endpoint: Endpoint?) throws -> PeerConfiguration {
        let pool = mesh.map.pool
        let hosts = [
            IPPrefix(pool.ipv4(at: offset), length: 32), IPPrefix(pool.ipv6(at: offset), length: 128),
        ]
        return PeerConfiguration(allowedIPs: Set(try hosts.map { try #require($0) }), endpoint: endpoint)
    }
}
