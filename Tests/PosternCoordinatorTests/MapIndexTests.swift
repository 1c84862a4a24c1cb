import Authorization
import CoordinationAPI
import Mesh
import PosternCoordinator
import Testing

/// What each node is told, against what its whole map is made of.
@Suite struct MapIndexTests {
    @Test(arguments: seeds)
    func `the sum of what a node is told is its whole map, and nothing is told that is not in it`(
        seed: UInt64
    ) throws {
        var mesh = RandomMesh(seed: seed)
        var maps: [NodeName: MapMessage] = [:]
        for version in UInt64(1)...80 {
            let before = mesh.index.contents.nodes
            let old = maps
            let delta = try mesh.index.apply(mesh.changes(), version: version)
            #expect(delta.version == version)
            maps = try mesh.wholeMaps()
            for node in mesh.index.contents.nodes.keys {
                let whole = try #require(maps[node])
                #expect(mesh.index.map(for: node) == whole, "\(node) at \(version)")
                guard before[node] != nil, let last = old[node] else { continue }
                let changes = mesh.index.changes(of: delta.items(for: node), for: node, from: version - 1)
                #expect(try last.applying(changes, version: version) == whole, "\(node) at \(version)")
                #expect(changes.isEmpty == (last.parts == whole.parts), "\(node) at \(version)")
                #expect(try changes == last.difference(to: whole, from: version - 1), "\(node) at \(version)")
            }
        }
    }

    @Test(arguments: seeds)
    func `changes that were missed together are made up for at once`(seed: UInt64) throws {
        var mesh = RandomMesh(seed: seed)
        for version in UInt64(1)...60 { _ = try mesh.index.apply(mesh.changes(), version: version) }
        let old = try mesh.wholeMaps()
        var missed: [NodeName: Set<MapItem>] = [:]
        for version in UInt64(61)...120 {
            let delta = try mesh.index.apply(mesh.changes(rejoins: false), version: version)
            for node in old.keys { missed[node, default: []].formUnion(delta.items(for: node)) }
        }
        let new = try mesh.wholeMaps()
        for (node, map) in old where new[node] != nil {
            let changes = mesh.index.changes(of: missed[node] ?? [], for: node, from: 60)
            #expect(try map.applying(changes, version: 120) == new[node])
        }
    }

    @Test func `the order of the changes of one version does not matter to who is told`() throws {
        var mesh = RandomMesh(seed: 7)
        for version in UInt64(1)...40 { _ = try mesh.index.apply(mesh.changes(), version: version) }
        let changes = (0..<10).flatMap { _ in mesh.changes() }
        var again = mesh.index
        _ = try mesh.index.apply(changes, version: 41)
        for change in changes { _ = try again.apply([change], version: 41) }
        for node in mesh.index.contents.nodes.keys { #expect(mesh.index.map(for: node) == again.map(for: node)) }
    }

    @Test func `a session is told to the nodes of the services that its agent may be granted, and to its own`() throws {
        var mesh = RandomMesh(seed: 1)
        let (web, db, other) = (NodeName(unchecked: "web"), NodeName(unchecked: "db"), NodeName(unchecked: "other"))
        let agent = AgentName(unchecked: "crew/a")
        let setUp = [
            mesh.node(web), mesh.node(db), mesh.node(other), mesh.agent(agent, nodes: [web], groups: ["g"]),
            mesh.agent(AgentName(unchecked: "crew"), nodes: [], groups: []),
            mesh.agent(AgentName(unchecked: "idle"), nodes: [other], groups: []),
            mesh.service(ServiceName(unchecked: "sql"), on: db, tags: []),
            mesh.service(ServiceName(unchecked: "mail"), on: other, tags: []),
            mesh.policy("p", "permit (principal in Group::\"g\", action, resource == Service::\"sql\");"),
        ]
        _ = try mesh.index.apply(setUp, version: 1)
        let (id, start) = mesh.session(of: agent, on: web)
        let delta = try mesh.index.apply([start], version: 2)
        #expect(delta.everywhere.isEmpty)
        #expect(
            delta.nodes == [
                web: [.session(id)],
                db: [.session(id), .node(web), .agent(agent), .agent(AgentName(unchecked: "crew"))],
            ])
        #expect(mesh.index.nodes(holding: .session(id)) == [web, db])
        #expect(mesh.index.nodes(holding: .node(other)) == [other])
        #expect(mesh.index.mayReach(agent, db) && !mesh.index.mayReach(agent, other))
        // A forbid takes it away; to the node of the session the services of its agent are gone too.
        let forbid = mesh.policy("q", "forbid (principal, action, resource == Service::\"sql\");")
        let narrowed = try mesh.index.apply([forbid], version: 3)
        #expect(
            narrowed.nodes == [
                web: [.service(ServiceName(unchecked: "sql")), .node(db)],
                db: [.session(id), .node(web), .agent(agent), .agent(AgentName(unchecked: "crew"))],
            ])
        #expect(narrowed.everywhere == [.policy(PolicyName(unchecked: "q"))])
    }

    @Test func `what cannot be read changes nothing`() throws {
        var mesh = RandomMesh(seed: 3)
        for version in UInt64(1)...20 { _ = try mesh.index.apply(mesh.changes(), version: version) }
        let contents = mesh.index.contents
        let changes = mesh.changes() + [mesh.policy("p", "permit (")]
        #expect(throws: AuthorizationError.self) { try mesh.index.apply(changes, version: 21) }
        #expect(mesh.index.contents == contents && mesh.index.version == 20)
    }

    @Test func `what a change costs does not depend on the nodes that it does not touch`() throws {
        func visits(among count: Int) throws -> Int {
            var mesh = RandomMesh(seed: 1)
            for number in 0..<count {
                let node = NodeName(unchecked: "n\(number)")
                _ = try mesh.index.apply(
                    [
                        mesh.node(node), mesh.agent(AgentName(unchecked: "a\(number)"), nodes: [node], groups: []),
                        mesh.service(ServiceName(unchecked: "s\(number)"), on: node, tags: []),
                    ], version: UInt64(number))
            }
            let permits = (0..<20).map {
                "permit (principal == Agent::\"a0\", action, resource == Service::\"s\($0)\");"
            }
            _ = try mesh.index.apply([mesh.policy("p", permits.joined(separator: "\n"))], version: 1000)
            let before = mesh.index.visits
            let (_, start) = mesh.session(of: AgentName(unchecked: "a0"), on: NodeName(unchecked: "n0"))
            let delta = try mesh.index.apply([start], version: 1001)
            #expect(delta.nodes.count == 20)
            return mesh.index.visits - before
        }
        let (few, many) = (try visits(among: 20), try visits(among: 200))
        #expect(few == many)
    }
}

extension MapMessage {
    struct Parts: Equatable {
        var definitions: [Envelope]
        var nodes: [NodeEntry]
        var sessions: [SessionEntry]
    }

    var parts: Parts { Parts(definitions: definitions, nodes: nodes, sessions: sessions) }

    /// The names of all that is in it, and the texts.
    private func named() throws -> (
        definitions: [Entry: Envelope], nodes: [NodeName: NodeEntry], sessions: [SessionID: SessionEntry]
    ) {
        var result = ([Entry: Envelope](), [NodeName: NodeEntry](), [SessionID: SessionEntry]())
        for envelope in definitions { result.0[try RandomMesh.entry(envelope)] = envelope }
        for entry in nodes { result.1[NodeName(unchecked: entry.statement.document)] = entry }
        for entry in sessions {
            result.2[SessionID(unchecked: String(entry.statement.document.prefix(32)))] = entry
        }
        return result
    }

    /// What a node does with changes.
    func applying(_ changes: MapChanges, version: UInt64) throws -> MapMessage {
        var (definitions, nodes, sessions) = try named()
        for entry in changes.removed { definitions[entry] = nil }
        for name in changes.removedNodes { nodes[name] = nil }
        for id in changes.removedSessions { sessions[id] = nil }
        for envelope in changes.definitions { definitions[try RandomMesh.entry(envelope)] = envelope }
        for entry in changes.nodes { nodes[NodeName(unchecked: entry.statement.document)] = entry }
        for entry in changes.sessions {
            sessions[SessionID(unchecked: String(entry.statement.document.prefix(32)))] = entry
        }
        return MapMessage(
            mesh: mesh, pool: pool, version: version,
            definitions: definitions.sorted { RandomMesh.order($0.key) < RandomMesh.order($1.key) }.map(\.value),
            nodes: nodes.values.sorted { $0.peer < $1.peer }, sessions: sessions.values.sorted { $0.peer < $1.peer })
    }

    /// The least that makes another map of this one.
    func difference(to other: MapMessage, from version: UInt64) throws -> MapChanges {
        let (old, new) = (try named(), try other.named())
        return MapChanges(
            from: version,
            definitions: new.definitions.filter { old.definitions[$0.key] != $0.value }
                .sorted { RandomMesh.order($0.key) < RandomMesh.order($1.key) }.map(\.value),
            removed: old.definitions.keys.filter { new.definitions[$0] == nil }
                .sorted { ($0.kind, $0.name) < ($1.kind, $1.name) },
            nodes: new.nodes.filter { old.nodes[$0.key] != $0.value }.values.sorted { $0.peer < $1.peer },
            removedNodes: old.nodes.keys.filter { new.nodes[$0] == nil }.sorted(),
            sessions: new.sessions.filter { old.sessions[$0.key] != $0.value }.values.sorted { $0.peer < $1.peer },
            removedSessions: old.sessions.keys.filter { new.sessions[$0] == nil }.sorted())
    }
}
