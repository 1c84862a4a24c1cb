import Authorization
import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// What time ends and begins, and what nodes may say to each other.
@Suite struct PlannerWindowTests {
    private var mesh: DemoMesh
    private var planner: Planner

    /// `one` may call the ledger on node `b` until an hour after the moment of the tests.
    init() throws {
        mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("ledger", on: "b", port: 8080)
        mesh.setPolicy(
            """
            permit (principal, action, resource) when { context.now < datetime("\(Self.text)") };
            """)
        planner = Planner(node: mesh.node)
    }

    /// An hour after `DemoMesh.moment`, which is 2027-01-15T08:00:00Z.
    private static let text = "2027-01-15T09:00:00Z"
    private static let end = DemoMesh.clock.boot + .seconds(3600)

    @Test mutating func `a window is in the tables with its end, and a plan is due then`() throws {
        let session = try mesh.addSession(of: "one", on: "a", lasting: .seconds(7000))
        let plan = try mesh.plan(with: &planner)
        #expect(plan.tables.timed.values.map(\.until) == [Self.end])
        #expect(plan.nextChange == Self.end)
        // By this number an event of the kernel names the policy.
        let numbers = plan.tables.timed.values.map { Optional($0.policy) }
        let policy = try mesh.snapshot().reference { numbers.contains($0.number) }
        #expect(policy?.document == mesh.map.policies.keys.first)
        #expect(plan.opens(session, "ledger", of: mesh))
        let node = try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        let port = try port(8080)
        #expect(!plan.tables.opens(from: session.offset, to: node.offset, port: port, at: Self.end))
    }

    @Test mutating func `when it has closed, the same planner plans nothing of it`() throws {
        let session = try mesh.addSession(of: "one", on: "a", lasting: .seconds(7000))
        _ = try mesh.plan(with: &planner)
        let later = try mesh.plan(with: &planner, now: Self.end)
        #expect(later.tables.timed.isEmpty)
        #expect(later.grantedNodes[session.id] == [])
        #expect(later.nextChange == nil)
    }

    @Test mutating func `a new session asks about its own agent, and the rest stays`() throws {
        mesh.addAgent("two")
        try mesh.addSession(of: "one", on: "a")
        let before = try mesh.plan(with: &planner)
        let session = try mesh.addSession(of: "two", on: "a")
        let after = try mesh.plan(with: &planner)
        #expect(after.opens(session, "ledger", of: mesh))
        #expect(before.tables.timed.allSatisfy { after.tables.timed[$0.key] == $0.value })
    }

    @Test mutating func `nodes that share a granted session may write to each other, and nobody else`() throws {
        try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan(with: &planner)
        let (a, b) = (
            try #require(mesh.map.nodes[NodeName(unchecked: "a")]),
            try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        )
        let device = try #require(plan.devices[DemoMesh.device])
        #expect(device.configuration.peers.keys.map(\.self) == [b.key])
        #expect(device.configuration.peers[b.key]?.endpoint == b.endpoints.first)
        #expect(device.identity.openers == [0])
        for (from, to) in [(a, b), (b, a)] { #expect(plan.tables.mayWrite(from.offset, to.offset)) }
        let c = try #require(mesh.map.nodes[NodeName(unchecked: "c")])
        for (from, to) in [(a, c), (c, a)] { #expect(!plan.tables.mayWrite(from.offset, to.offset)) }
    }

    @Test mutating func `a service at the nodes' own port is reached by nobody, and named`() throws {
        mesh.map.services[ServiceName(unchecked: "letters")] = ServiceDefinition(
            name: ServiceName(unchecked: "letters"), node: NodeName(unchecked: "b"), protocol: .udp,
            port: Greeting.port)
        let session = try mesh.addSession(of: "one", on: "a")
        let plan = try mesh.plan(with: &planner)
        #expect(plan.problems.contains { $0.contains("`letters`") })
        let b = try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        #expect(!plan.tables.mayWrite(session.offset, b.offset))
    }

    @Test mutating func `a service over UDP is opened over UDP alone`() throws {
        mesh.map.services[ServiceName(unchecked: "dns")] = ServiceDefinition(
            name: ServiceName(unchecked: "dns"), node: NodeName(unchecked: "b"), protocol: .udp, port: try port(53))
        let session = try mesh.addSession(of: "one", on: "a")
        let tables = try mesh.plan(with: &planner).tables
        let b = try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        #expect(tables.opens(from: session.offset, to: b.offset, port: try port(53), at: DemoMesh.clock.boot, .udp))
        #expect(!tables.opens(from: session.offset, to: b.offset, port: try port(53), at: DemoMesh.clock.boot))
    }

    @Test mutating func `an echo is opened by a service of its own, and by no other`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        let b = try #require(mesh.map.nodes[NodeName(unchecked: "b")])
        try mesh.addService("more", on: "b", port: 90)
        #expect(!(try mesh.plan(with: &planner).tables.echoes(from: session.offset, to: b.offset)))
        let name = ServiceName(unchecked: "echo-b")
        mesh.map.services[name] = ServiceDefinition(echoOf: b.name, name: name)
        let tables = try mesh.plan(with: &planner).tables
        #expect(tables.echoes(from: session.offset, to: b.offset))
        let a = try #require(mesh.map.nodes[NodeName(unchecked: "a")])
        #expect(!tables.echoes(from: session.offset, to: a.offset))
    }
}

extension TableSet {
    fileprivate func echoes(from source: MeshOffset, to destination: MeshOffset) -> Bool {
        opens(from: source, to: destination, port: nil, at: DemoMesh.clock.boot, .icmp)
    }

    fileprivate func mayWrite(_ source: MeshOffset, _ destination: MeshOffset) -> Bool {
        opens(from: source, to: destination, port: Greeting.port, at: DemoMesh.clock.boot, .udp)
    }
}
