import Authorization
import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// The planner against an obvious model that asks the policies about every pair.
@Suite struct PlannerModelTests {
    @Test(arguments: seeds)
    func `an opening is in the tables if and only if it is granted and concerns this node`(seed: UInt64) throws {
        var world = try RandomWorld(seed: seed)
        var planner = Planner(node: world.mesh.node)
        for _ in 0..<12 {
            let plan = try world.mesh.plan(with: &planner)
            let model = try Model(world.mesh)
            for session in world.mesh.map.sessions.values {
                for service in world.mesh.map.services.keys {
                    let open = plan.opens(session, service.rawValue, of: world.mesh)
                    #expect(open == model.opens(session, service), "\(session.agent) to \(service)")
                }
            }
            expectNoMore(plan, than: model, world.mesh)
            expectUniqueNumbers(in: plan)
            // What was kept from plan to plan makes no difference.
            var fresh = Planner(node: world.mesh.node, numbering: planner.numbering)
            #expect(try world.mesh.plan(with: &fresh) == plan)
            var restarted = Planner(node: world.mesh.node, numbering: Numbering(adopting: plan.tables))
            #expect(plan.tables.changes(to: try world.mesh.plan(with: &restarted).tables).isEmpty)
            try world.change()
        }
    }

    @Test func `the random meshes hold openings of every kind, and pairs without one`() throws {
        var counts: [String: Int] = [:]
        for seed in seeds {
            let mesh = try RandomWorld(seed: seed).mesh
            let model = try Model(mesh)
            for session in mesh.map.sessions.values {
                for service in mesh.map.services.values {
                    let kind = "\(session.node == DemoMesh.own) \(service.node == DemoMesh.own)"
                    counts[kind + " \(model.opens(session, service.name))", default: 0] += 1
                }
            }
        }
        // Between two other nodes nothing is ever open here: seven kinds of eight.
        #expect(counts.count == 7)
        #expect(counts.values.allSatisfy { $0 >= 3 }, "\(counts)")
    }

    /// Nothing stands in the plan that no opening needs.
    private func expectNoMore(_ plan: Plan, than model: Model, _ mesh: DemoMesh) {
        #expect(plan.problems.isEmpty)
        #expect(Set(plan.tables.peers.keys) == model.offsets)
        let neighbours = model.neighbours
        #expect(plan.tables.verdicts.count == model.openings.count + 2 * neighbours.count)
        let letters = neighbours.isEmpty ? 0 : 1 + neighbours.count
        #expect(plan.tables.services.count == Set(model.openings.map(\.socket)).count + letters)
        #expect(plan.devices.count == 1 + mesh.local.count)
        let keys = model.callerKeys.union(neighbours.compactMap { mesh.map.nodes[$0]?.key })
        #expect(plan.peers(of: DemoMesh.device) == keys)
        for (id, local) in mesh.local {
            let nodes = Set(model.openings.filter { $0.session == id }.map(\.socket.node))
            #expect(plan.grantedNodes[id] == nodes)
            #expect(plan.peers(of: local.device) == Set(nodes.compactMap { mesh.map.nodes[$0]?.key }))
        }
    }

    private func expectUniqueNumbers(in plan: Plan) {
        let slots = plan.tables.peers.values.map(\.slot)
        #expect(Set(slots).count == slots.count)
        #expect(Set(plan.tables.services.values).count == plan.tables.services.count)
        #expect(plan.tables.rows.count == slots.count)
    }
}

extension Plan {
    fileprivate func peers(of device: DeviceName) -> Set<WireGuardPublicKey> {
        Set(devices[device]?.configuration.peers.keys.map(\.self) ?? [])
    }
}

/// Who may open what, by asking about each pair.
private struct Model {
    struct Socket: Hashable {
        let node: NodeName
        let port: Port?
    }

    struct Opening: Hashable {
        let session: SessionID
        let socket: Socket
    }

    private(set) var openings: Set<Opening> = []
    private let mesh: DemoMesh
    private let policy: PolicySnapshot

    init(_ mesh: DemoMesh) throws {
        (self.mesh, policy) = (mesh, try mesh.snapshot())
        for session in mesh.map.sessions.values {
            for service in mesh.map.services.values where isGranted(session, service) {
                openings.insert(Opening(session: session.id, socket: Socket(node: service.node, port: service.port)))
            }
        }
    }

    func opens(_ session: NetworkMap.Session, _ name: ServiceName) -> Bool {
        guard let service = mesh.map.services[name], session.expires > DemoMesh.moment else { return false }
        return openings.contains(Opening(session: session.id, socket: Socket(node: service.node, port: service.port)))
    }

    /// One end of it is here, and everything that listens at that port is granted.
    private func isGranted(_ session: NetworkMap.Session, _ service: ServiceDefinition) -> Bool {
        guard session.node == DemoMesh.own || service.node == DemoMesh.own, mesh.map.nodes[service.node] != nil else {
            return false
        }
        return mesh.map.services.values.allSatisfy { other in
            (other.node, other.port) != (service.node, service.port)
                || policy.decide(
                    agent: session.agent, action: .connect, service: other.name, now: DemoMesh.moment
                ).isAllowed
        }
    }

    /// The other ends of sessions that are granted something across.
    var neighbours: Set<NodeName> {
        Set(openings.flatMap { [$0.socket.node, mesh.map.sessions[$0.session]?.node].compactMap(\.self) })
            .subtracting([DemoMesh.own])
    }

    /// Sessions that may open something on this node.
    var callerKeys: Set<WireGuardPublicKey> {
        Set(openings.filter { $0.socket.node == DemoMesh.own }.compactMap { mesh.map.sessions[$0.session]?.key })
    }

    var offsets: Set<MeshOffset> {
        let sessions = Set(openings.map(\.session)).union(mesh.local.keys)
        let nodes = Set(openings.map(\.socket.node)).union(neighbours).union([DemoMesh.own])
        return Set(sessions.compactMap { mesh.map.sessions[$0]?.offset })
            .union(nodes.compactMap { mesh.map.nodes[$0]?.offset })
    }
}

/// A mesh that changes at random.
private struct RandomWorld {
    private(set) var mesh: DemoMesh
    private var random: SeededGenerator

    private static let agents = ["one", "two", "crew/writer", "crew", "gone"]
    private static let services = ["s0", "s1", "s2", "s3", "s4", "s5"]
    private static let nodes = ["a", "b", "c", "unknown"]

    init(seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        mesh = try DemoMesh()
        for agent in Self.agents { setAgent(agent, disabled: agent == "gone") }
        for service in Self.services { try setService(service) }
        for _ in 0..<6 { try addSession() }
        setPolicy()
    }

    mutating func change() throws {
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1: try addSession()
        case 2:
            if let id = mesh.map.sessions.keys.sorted().randomElement(using: &random) { mesh.removeSession(id) }
        case 3: try setService(one(of: Self.services))
        case 4: setAgent(one(of: Self.agents), disabled: chance(4))
        default: setPolicy()
        }
    }

    private mutating func addSession() throws {
        let (agent, node) = (one(of: Self.agents + ["ghost"]), one(of: ["a", "a", "b", "c"]))
        try mesh.addSession(of: agent, on: node, lasting: .seconds(chance(6) ? -1 : 3600))
    }

    private mutating func setAgent(_ name: String, disabled: Bool) {
        mesh.addAgent(name, groups: pick(from: ["staff", "research"]), disabled: disabled)
    }

    /// Few ports, so that services often share one.
    private mutating func setService(_ name: String) throws {
        let (node, port) = (one(of: Self.nodes), UInt16.random(in: 80...82, using: &random))
        try mesh.addService(name, on: node, port: port, tags: pick(from: ["prod", "test"]))
    }

    private mutating func setPolicy() {
        let rules = (0..<Int.random(in: 0...6, using: &random)).map { _ in rule() }
        mesh.setPolicy(rules.joined(separator: "\n"))
    }

    private mutating func rule() -> String {
        let effect = chance(4) ? "forbid" : "permit"
        let agent = one(of: Self.agents)
        let principal = one(of: [
            "principal", #"principal in Group::"staff""#, #"principal in Agent::"crew""#,
            #"principal == Agent::"\#(agent)""#,
        ])
        let action = one(of: ["action", #"action == Action::"connect""#, #"action == Action::"read""#])
        let service = one(of: Self.services)
        let resource = one(of: [
            "resource", #"resource in Tag::"prod""#, #"resource == Service::"\#(service)""#,
        ])
        return "\(effect) (\(principal), \(action), \(resource));"
    }

    private mutating func one(of choices: [String]) -> String {
        choices[Int.random(in: choices.indices, using: &random)]
    }

    private mutating func pick(from choices: [String]) -> Set<String> {
        var picked: Set<String> = []
        for choice in choices where chance(2) { picked.insert(choice) }
        return picked
    }

    private mutating func chance(_ outOf: Int) -> Bool { Int.random(in: 0..<outOf, using: &random) == 0 }
}
