import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// What is over, missing, or does not fit plans less, and says so.
@Suite struct PlannerRefusalTests {
    private var mesh: DemoMesh

    init() throws {
        mesh = try DemoMesh()
        for agent in ["one", "two"] { mesh.addAgent(agent) }
        try mesh.addService("ledger", on: "b", port: 8080)
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy(#"permit (principal == Agent::"one", action, resource);"#)
    }

    @Test(arguments: [(10, 10), (7200, 7200), (9000, 7200)])
    func `a session's lease ends with it, and at the latest with the map`(lasting: Int, lease: Int) throws {
        var mesh = mesh
        let session = try mesh.addSession(of: "one", on: "b", lasting: .seconds(lasting))
        let plan = try mesh.plan()
        #expect(plan.tables.peers[session.offset]?.lease == DemoMesh.clock.boot + .seconds(lease))
    }

    @Test mutating func `a node's lease ends with the map`() throws {
        try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan()
        for name in ["a", "b"] {
            let node = try #require(mesh.map.nodes[NodeName(unchecked: name)])
            #expect(plan.tables.peers[node.offset]?.lease == DemoMesh.clock.boot + .seconds(7200))
        }
    }

    @Test mutating func `a session that is over opens nothing`() throws {
        let session = try mesh.addSession(of: "one", on: "b", lasting: .seconds(-1))
        #expect(try !mesh.plan().opens(session, "mailbox", of: mesh))
    }

    @Test(arguments: [(7199, false), (7200, true), (7201, true)])
    func `a map that has run out plans nothing`(second: Int, nothing: Bool) throws {
        var mesh = mesh
        try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan(now: DemoMesh.clock.boot + .seconds(second))
        #expect(plan.devices.isEmpty == nothing)
        #expect((plan.tables == TableSet()) == nothing)
        #expect(plan.problems.isEmpty == !nothing)
    }

    @Test func `without a map nothing is planned`() throws {
        var planner = Planner(node: mesh.node)
        let plan = planner.plan(
            map: nil, policy: try mesh.snapshot(), sessions: [:], clock: DemoMesh.clock, now: DemoMesh.clock.boot)
        expectNothing(plan)
    }

    @Test mutating func `a mesh that does not know this node gives it nothing`() throws {
        try mesh.addSession(of: "one", on: "a")
        mesh.map.nodes[DemoMesh.own] = nil
        expectNothing(try mesh.plan())
    }

    @Test mutating func `a mesh that knows this node by another key gives it nothing`() throws {
        try mesh.addSession(of: "one", on: "a")
        mesh.map.nodes[DemoMesh.own]?.key = try key(99).publicKey
        expectNothing(try mesh.plan())
    }

    @Test mutating func `policies that cannot be read grant nothing`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        try mesh.addSession(of: "one", on: "b")
        var planner = Planner(node: mesh.node)
        let plan = planner.plan(
            map: mesh.map, policy: nil, sessions: mesh.local, clock: DemoMesh.clock, now: DemoMesh.clock.boot)
        #expect(plan.tables.verdicts.isEmpty)
        #expect(plan.devices.count == 2)
        #expect(plan.devices.values.allSatisfy { $0.configuration.peers.isEmpty })
        #expect(plan.grantedNodes == [session.id: []])
        #expect(plan.problems.count == 1)
    }

    @Test(arguments: ["key", "agent", "node"])
    func `what the map puts in the place of a session of this node is refused`(what: String) throws {
        var mesh = mesh
        let session = try mesh.addSession(of: "one", on: "a")
        switch what {
        case "key": mesh.map.sessions[session.id]?.key = try key(99).publicKey
        case "agent":
            mesh.map.sessions[session.id]?.agent = AgentName(unchecked: "two")
            mesh.setPolicy("permit (principal, action, resource);")
        default: mesh.map.sessions[session.id]?.node = NodeName(unchecked: "b")
        }
        let plan = try mesh.plan()
        #expect(Set(plan.devices.keys) == [DemoMesh.device])
        #expect(plan.grantedNodes.isEmpty)
        #expect(plan.problems == ["the map holds another session in the place of \(session.id)"])
        // As another node's session it is what that node says of it.
        guard what != "node" else { return }
        #expect(plan.tables.peers[session.offset] == nil)
        #expect(plan.tables.verdicts.isEmpty)
        #expect(plan.devices[DemoMesh.device]?.configuration.peers.isEmpty == true)
    }

    @Test mutating func `more services than the tables hold plan nothing`() throws {
        for index in 0..<Int(ServiceClass.count) {
            try mesh.addService("s\(index)", on: "b", port: UInt16(10_000 + index))
        }
        try mesh.addSession(of: "one", on: "a")
        expectNothing(try mesh.plan())
    }

    private func expectNothing(_ plan: Plan) {
        #expect(plan.devices.isEmpty)
        #expect(plan.tables == TableSet())
        #expect(plan.grantedNodes.isEmpty)
        #expect(plan.problems.count == 1)
    }
}
