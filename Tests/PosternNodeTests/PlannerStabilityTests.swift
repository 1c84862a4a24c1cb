import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// An update touches only what changed.
@Suite struct PlannerStabilityTests {
    private var mesh: DemoMesh
    private var planner: Planner

    init() throws {
        mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("ledger", on: "b", port: 8080)
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy("permit (principal, action, resource);")
        planner = Planner(node: mesh.node)
        try mesh.addSession(of: "one", on: "b")
        try mesh.addSession(of: "one", on: "a")
    }

    @Test mutating func `the same map twice is the same plan`() throws {
        let first = try mesh.plan(with: &planner)
        #expect(try mesh.plan(with: &planner) == first)
    }

    @Test mutating func `a new session leaves the others' numbers, and only adds`() throws {
        let before = try mesh.plan(with: &planner)
        let session = try mesh.addSession(of: "one", on: "a")
        let after = try mesh.plan(with: &planner)
        #expect(before.tables.peers.allSatisfy { after.tables.peers[$0.key] == $0.value })
        #expect(before.tables.services == after.tables.services)
        #expect(before.tables.changes(to: after.tables).tighten.isEmpty)
        #expect(after.opens(session, "ledger", of: mesh))
    }

    @Test mutating func `an ended session leaves the others' numbers, and only removes`() throws {
        let session = try mesh.addSession(of: "one", on: "a")
        let before = try mesh.plan(with: &planner)
        mesh.removeSession(session.id)
        let after = try mesh.plan(with: &planner)
        #expect(after.tables.peers.allSatisfy { before.tables.peers[$0.key] == $0.value })
        #expect(before.tables.changes(to: after.tables).loosen.isEmpty)
        #expect(after.tables.peers[session.offset] == nil)
    }

    @Test mutating func `a narrower policy only removes, and a wider one only adds`() throws {
        let wide = try mesh.plan(with: &planner)
        mesh.setPolicy(#"permit (principal, action, resource == Service::"ledger");"#)
        let narrow = try mesh.plan(with: &planner)
        let narrowing = wide.tables.changes(to: narrow.tables)
        #expect(!narrowing.tighten.isEmpty)
        #expect(narrowing.loosen.isEmpty)
        mesh.setPolicy("permit (principal, action, resource);")
        let widening = narrow.tables.changes(to: try mesh.plan(with: &planner).tables)
        #expect(widening.tighten.isEmpty)
        #expect(!widening.loosen.isEmpty)
    }

    @Test mutating func `a narrower policy closes what it no longer grants`() throws {
        _ = try mesh.plan(with: &planner)
        mesh.setPolicy(#"permit (principal, action, resource == Service::"ledger");"#)
        let plan = try mesh.plan(with: &planner)
        for session in mesh.map.sessions.values { #expect(!plan.opens(session, "mailbox", of: mesh)) }
        let peers = plan.devices[DemoMesh.device]?.configuration.peers.keys.map(\.self) ?? []
        #expect(Set(peers).isDisjoint(with: mesh.map.sessions.values.map(\.key)))
    }

    @Test mutating func `a planner that starts from the tables changes nothing in them`() throws {
        try mesh.addSession(of: "one", on: "c")
        _ = try mesh.plan(with: &planner)
        // Numbers with a gap, so that they cannot come out the same by counting anew.
        mesh.removeSession(try #require(mesh.map.sessions.values.min { $0.peer < $1.peer }).id)
        let plan = try mesh.plan(with: &planner)
        var restarted = Planner(node: mesh.node, numbering: Numbering(adopting: plan.tables))
        #expect(plan.tables.changes(to: try mesh.plan(with: &restarted).tables).isEmpty)
        #expect(restarted.numbering == planner.numbering)
    }

    @Test mutating func `after nothing could be planned, the same map is the same plan again`() throws {
        let before = try mesh.plan(with: &planner)
        #expect(try mesh.plan(with: &planner, now: DemoMesh.clock.boot + .seconds(8000)).devices.isEmpty)
        #expect(try mesh.plan(with: &planner) == before)
    }
}
