import CoordinationAPI
import Identity
import Mesh
import PosternNode
import Testing

/// Whatever happens to a mesh: what a node believes of the changes is what it would believe of the whole.
@Suite struct MapDeltaTests {
    @Test(arguments: seeds)
    func `the sum of the changes is the whole map`(seed: UInt64) async throws {
        var world = try ChangingMesh(seed: seed)
        var belief = try await world.mesh.believe(try world.whole())
        var older = world
        for step in 1...40 {
            let before = world
            for _ in 0...world.number(below: 3) { try world.change() }
            // Sometimes what was sent before is sent again with the rest, as to a node that comes back.
            let event = try world.changes(since: world.chance(4) ? [older, before] : [before])
            belief = try await world.mesh.believe(event, after: belief)
            older = before
            let whole = try await world.mesh.believe(try world.whole())
            #expect(belief.map == whole.map, "seed \(seed), step \(step)")
            #expect(belief.leftOut.count == whole.leftOut.count, "\(belief.leftOut) \(whole.leftOut)")
            #expect(belief.map == (try await SlowVerifier(mesh: world.mesh).map(of: try world.whole())))
            let again = try await world.mesh.believe(try world.whole(), after: belief)
            #expect(again.map == whole.map, "seed \(seed), step \(step)")
        }
    }

    @Test(arguments: seeds.prefix(5))
    func `a map that was saved and read again is the same, and goes on like it`(seed: UInt64) async throws {
        var world = try ChangingMesh(seed: seed)
        var belief = try await world.mesh.believe(try world.whole())
        for _ in 1...20 {
            let before = world
            try world.change()
            let saved = belief.saved
            var read = try await world.mesh.believe(
                try JSON.decode(SavedMap.self, from: try JSON.encode(saved)).event)
            read.remember(saved)
            #expect(read.map == belief.map)
            let event = try world.changes(since: [before])
            belief = try await world.mesh.believe(event, after: belief)
            #expect(try await world.mesh.believe(event, after: read).map == belief.map)
        }
    }
}

/// A mesh to which things happen, and what its coordinator says of them.
struct ChangingMesh {
    private(set) var mesh: SignedMesh
    private var generator: SeededGenerator
    private var version: UInt64 = 7
    private var now = SignedMesh.now
    private var admins: [Envelope]
    private var definitions: [Entry: Envelope] = [:]
    private var nodes: [NodeName: MapMessage.NodeEntry] = [:]
    private var sessions: [SessionID: MapMessage.SessionEntry] = [:]
    private var lastPeer: UInt32 = 20
    private var checkpointed: UInt64 = 7
    private var admin: SigningKey

    init(seed: UInt64) throws {
        mesh = try SignedMesh()
        generator = SeededGenerator(seed: seed)
        admins = [mesh.definitions[0]]
        admin = mesh.admin
        for envelope in mesh.definitions.dropFirst() { try keep(envelope) }
        for (name, entry) in zip(["a", "b"], mesh.nodes) { nodes[NodeName(unchecked: name)] = entry }
    }

    private mutating func keep(_ envelope: Envelope) throws {
        let document = try JSON.decode(Document.self, from: Array(envelope.document.utf8))
        definitions[try #require(document.statement.entry)] = envelope
    }

    mutating func number(below count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
    mutating func chance(_ count: Int) -> Bool { number(below: count) == 0 }
    private mutating func pick<Value>(_ values: [Value]) -> Value? { values.randomElement(using: &generator) }

    // MARK: - What the coordinator says

    private var all: [Envelope] {
        admins + definitions.sorted { "\($0.key)" < "\($1.key)" }.map(\.value)
    }

    private func checkpoint() throws -> Envelope {
        try mesh.checkpoint(version: checkpointed, of: all, lasting: .seconds(86_400 * 1000))
    }

    func whole() throws -> MapEvent {
        let message = MapMessage(
            mesh: SignedMesh.name, pool: mesh.pool, version: version, definitions: all, nodes: Array(nodes.values),
            sessions: Array(sessions.values))
        return try mesh.event(message, version: version, at: now, checkpoint: try checkpoint())
    }

    /// What was touched since the first of these moments, and between them.
    func changes(since moments: [ChangingMesh]) throws -> MapEvent {
        let old = moments[0]
        let touched = { (key: Entry) in moments.contains { $0.definitions[key] != definitions[key] } }
        var changes = MapChanges(from: old.version)
        changes.definitions = admins.filter { !old.admins.contains($0) }
        changes.definitions += definitions.filter { touched($0.key) }.values
        changes.removed = Array(Set(moments.flatMap(\.definitions.keys)).filter { definitions[$0] == nil })
        changes.nodes = nodes.filter { key, value in moments.contains { $0.nodes[key] != value } }.map(\.value)
        changes.removedNodes = Array(Set(moments.flatMap(\.nodes.keys)).filter { nodes[$0] == nil })
        changes.sessions = sessions.filter { key, value in moments.contains { $0.sessions[key] != value } }.map(\.value)
        changes.removedSessions = Array(Set(moments.flatMap(\.sessions.keys)).filter { sessions[$0] == nil })
        return mesh.event(
            changes, version: version, at: now, checkpoint: checkpointed == old.checkpointed ? nil : try checkpoint())
    }

    // MARK: - What happens

    mutating func change() throws {
        version += 1
        now = now + .seconds(1)
        switch number(below: 14) {
        case 0...1: try changeAgent()
        case 2: try changePolicy()
        case 3: try changeService()
        case 4: try addAdmin()
        case 5...6: try changeNode()
        case 7: nodes[NodeName(unchecked: try #require(pick(["a", "c", "d"])))] = nil
        case 8: now = now + .seconds(pick([600, 86_400 * 9]) ?? 0)
        case 9: if let id = pick(Array(sessions.keys).sorted()) { sessions[id] = nil }
        case 10: try renewSession()
        default: try addSession()
        }
        // Past a day a checkpoint says nothing; the coordinator signs it again.
        if now.rawValue > 0 { checkpointed = version }
    }

    private mutating func define(_ statement: Statement) throws {
        let entry = try #require(statement.entry)
        definitions[entry] = try mesh.sign(statement, with: admin, madeAt: now)
    }

    private mutating func changeAgent() throws {
        let name = try #require(pick(["one", "two", "three"]))
        guard !chance(4) else {
            definitions[.agent(AgentName(unchecked: name))] = nil
            return
        }
        let node = try #require(pick(["a", "b", "c"]))
        try define(.agent(SignedMesh.agent(name, on: node, disabled: chance(4))))
    }

    private mutating func changePolicy() throws {
        let name = PolicyName(unchecked: try #require(pick(["demo.cedar", "more.cedar"])))
        guard !chance(3) else {
            definitions[.policy(name)] = nil
            return
        }
        let effect = try #require(pick(["permit", "forbid"]))
        try define(.policy(PolicyDocument(name: name, text: "\(effect) (principal, action, resource); // \(version)")))
    }

    private mutating func changeService() throws {
        let name = ServiceName(unchecked: try #require(pick(["ledger", "vault"])))
        guard !chance(3) else {
            definitions[.service(name)] = nil
            return
        }
        try define(
            .service(
                ServiceDefinition(
                    name: name, node: NodeName(unchecked: "b"), protocol: .tcp,
                    port: try port(UInt16(8000 + number(below: 100))))))
    }

    private mutating func addAdmin() throws {
        let key = SigningKey()
        let statement = AdminStatement(
            name: UserName(unchecked: "admin\(version)"), key: SigningPublicKey(key.publicKey))
        admins.append(try mesh.sign(.admin(statement), with: admin, madeAt: now))
        admin = key
    }

    private mutating func changeNode() throws {
        let (name, number) = try #require(pick([("a", 1), ("b", 2), ("c", 3), ("d", 4)] as [(String, UInt32)]))
        if mesh.keys[name] == nil || chance(4) { mesh.renewKey(of: name) }
        nodes[NodeName(unchecked: name)] = try mesh.node(
            name, number, offset: chance(5) ? 1 : nil, wireGuard: chance(2) ? 100 + UInt32(version) : nil,
            issuedAt: now, signedBy: chance(8) ? SigningKey() : nil, madeAt: now)
    }

    private mutating func addSession() throws {
        let node = try #require(pick(["a", "b", "c", "d"]))
        let agent = try #require(pick(["one", "two", "three"]))
        lastPeer += 1
        let entry = try mesh.session(
            lastPeer, of: agent, on: node, signedBy: chance(6) || mesh.keys[node] == nil ? SigningKey() : nil,
            offset: chance(6) ? 21 : nil, wireGuard: chance(6) ? 2 : nil, lasting: .seconds(3600 * 20), madeAt: now)
        sessions[mesh.id(lastPeer)] = entry
    }

    private mutating func renewSession() throws {
        guard let id = pick(sessions.keys.sorted()), let old = sessions[id] else { return }
        sessions[id] = MapMessage.SessionEntry(
            peer: old.peer, offset: old.offset, expires: old.expires + .seconds(60), maximum: old.maximum,
            statement: old.statement)
    }
}
