import CoordinationAPI
import Identity
import Mesh
import PosternNode
import Testing

/// Checkpoints, admins and what is older: what a node never goes back behind.
@Suite struct MapRefusalTests {
    private var mesh: SignedMesh

    init() throws { mesh = try SignedMesh() }

    private func later(_ seconds: Int) -> Timestamp { SignedMesh.now + .seconds(seconds) }

    // MARK: - Checkpoints

    @Test func `without a checkpoint a map has no lease`() async throws {
        let event = MapEvent(
            version: 7, issuedAt: SignedMesh.now, validUntil: later(7200), checkpoint: nil,
            content: .whole(mesh.message()))
        #expect(try await mesh.believe(event).map.validUntil == SignedMesh.now)
    }

    @Test func `a map lasts no longer than its checkpoint`() async throws {
        let event = try mesh.event(checkpoint: try mesh.checkpoint(lasting: .seconds(600)))
        #expect(try await mesh.believe(event).map.validUntil == later(600))
        let over = try mesh.event(checkpoint: try mesh.checkpoint(lasting: .seconds(-1)))
        #expect(try await mesh.believe(over).map.validUntil < SignedMesh.now)
    }

    @Test func `a checkpoint that the CA did not sign refuses the map`() async throws {
        for key in [mesh.admin, SigningKey(), try #require(mesh.keys["a"])] {
            await refuses("the coordinator's checkpoint is not to be believed") { [mesh] in
                try await mesh.believe(try mesh.event(checkpoint: try mesh.checkpoint(signedBy: key)))
            }
        }
        await refuses("the coordinator's checkpoint is another statement") { [mesh] in
            let other = try mesh.sign(.removal(.agent(AgentName(unchecked: "one"))), with: mesh.ca.key)
            return try await mesh.believe(try mesh.event(checkpoint: other))
        }
    }

    @Test func `an older checkpoint is refused, and so is an older map`() async throws {
        let known = try await mesh.believe(try mesh.event(version: 9))
        await refuses("an older registry is refused") { [mesh] in
            try await mesh.believe(
                try mesh.event(version: 9, checkpoint: try mesh.checkpoint(version: 8)), after: known)
        }
        await refuses("older than 9") { [mesh] in
            try await mesh.believe(
                try mesh.event(version: 8, checkpoint: try mesh.checkpoint(version: 9)), after: known)
        }
        await refuses("an older registry is refused") { [mesh] in
            try await mesh.believe(try mesh.event(version: 9), floor: Position(epoch: 2, version: 1))
        }
    }

    @Test func `a registry that was brought back on purpose has a higher epoch and may be older`() async throws {
        var newer = mesh
        try newer.define(.agent(SignedMesh.agent("one", on: "a", disabled: true)), madeAt: later(5))
        newer.definitions.remove(at: 1)
        let known = try await newer.believe(try newer.event(version: 9))
        let back = try mesh.event(version: 5, checkpoint: try mesh.checkpoint(epoch: 2, version: 5))
        let believed = try await mesh.believe(back, after: known)
        #expect(believed.map.version == 5)
        #expect(believed.map.agents[AgentName(unchecked: "one")]?.disabled == false)
    }

    @Test func `a policy that is withheld, or added, does not fit the checkpoint`() async throws {
        let known = try await mesh.believe(try mesh.event())
        let name = PolicyName(unchecked: "demo.cedar")
        await refuses("the map's policies are not those of the coordinator's checkpoint") { [mesh] in
            try await mesh.believe(mesh.event(MapChanges(from: 7, removed: [.policy(name)])), after: known)
        }
        var more = mesh
        try more.define(.policy(PolicyDocument(name: PolicyName(unchecked: "more"), text: "")))
        let added = more.definitions.suffix(1)
        await refuses("the map's policies are not those of the coordinator's checkpoint") { [mesh] in
            try await mesh.believe(mesh.event(MapChanges(from: 7, definitions: Array(added))), after: known)
        }
        let fitting = mesh.event(
            MapChanges(from: 7, definitions: Array(added)), checkpoint: try more.checkpoint(version: 8))
        #expect(try await mesh.believe(fitting, after: known).map.policies.count == 2)
        // A heartbeat that brings a checkpoint of other policies.
        let heartbeat = MapEvent(
            version: 8, issuedAt: SignedMesh.now, validUntil: later(60), checkpoint: try more.checkpoint(version: 8),
            content: .unchanged)
        await refuses("the map's policies are not those of the coordinator's checkpoint") { [mesh] in
            try await mesh.believe(heartbeat, after: known)
        }
    }

    // MARK: - Admins

    @Test func `a further admin is made by an earlier one, and then signs`() async throws {
        let (bob, stranger) = (SigningKey(), SigningKey())
        let known = try await mesh.believe(try mesh.event())
        var next = mesh
        try next.define(.admin(admin("bob", bob)), madeAt: later(1))
        try next.define(.agent(SignedMesh.agent("two", on: "a")), by: bob, madeAt: later(2))
        let changes = MapChanges(from: 7, definitions: Array(next.definitions.suffix(2)))
        let belief = try await mesh.believe(
            mesh.event(changes, checkpoint: try next.checkpoint(version: 8)), after: known)
        #expect(belief.map.agents[AgentName(unchecked: "two")] != nil)
        #expect(belief.chain.admins.count == 2)
        await refuses("the map's admins are not to be believed") { [mesh] in
            let forged = try mesh.sign(
                .admin(
                    AdminStatement(
                        name: UserName(unchecked: "eve"), key: SigningPublicKey(stranger.publicKey))), with: stranger,
                madeAt: SignedMesh.now + .seconds(3))
            return try await mesh.believe(
                mesh.event(MapChanges(from: 8, definitions: [forged]), version: 9), after: belief)
        }
    }

    @Test func `a session runs for whoever proved himself, and for nobody else`() async throws {
        var mesh = mesh
        let (bob, eve) = (SigningKey(), SigningKey())
        try mesh.define(.admin(admin("bob", bob)), madeAt: later(1))
        mesh.sessions = [
            try mesh.session(3, for: mesh.login(of: "bob", signedBy: bob)),
            try mesh.session(4, for: mesh.login(of: "bob", signedBy: eve)),
            try mesh.session(5, for: mesh.login(of: "eve", signedBy: eve)),
            try mesh.session(6),
        ]
        let known = try await mesh.believe(try mesh.event())
        #expect(known.map.sessions.mapValues(\.person?.rawValue) == [mesh.id(3): "bob", mesh.id(6): nil])
        #expect(known.leftOut.filter { $0.contains("is not proved") }.count == 2)

        // He counts no more: his session goes, and comes back with nobody's word but his own.
        var next = mesh
        try next.define(.removal(.admin(UserName(unchecked: "bob"))), madeAt: later(9))
        let removal = MapChanges(from: 7, definitions: Array(next.definitions.suffix(1)))
        let belief = try await mesh.believe(
            mesh.event(removal, checkpoint: try next.checkpoint(version: 8)), after: known)
        #expect(Set(belief.map.sessions.keys) == [mesh.id(6)])
        let again = try await mesh.believe(
            mesh.event(
                MapChanges(from: 8, sessions: [mesh.sessions[0]]), version: 9,
                checkpoint: try next.checkpoint(version: 9)), after: belief)
        #expect(Set(again.map.sessions.keys) == [mesh.id(6)])
    }

    @Test func `what a removed admin alone has signed must be signed again in the same change`() async throws {
        let bob = SigningKey()
        try await withBob(bob) { mesh, known in
            var next = mesh
            try next.define(.removal(.admin(UserName(unchecked: "ann"))), by: bob, madeAt: later(9))
            let removal = Array(next.definitions.suffix(1))
            await refuses("bears the signature of no admin that is left") {
                try await mesh.believe(
                    mesh.event(
                        MapChanges(from: 7, definitions: removal), checkpoint: try next.checkpoint(version: 8)),
                    after: known)
            }
            // The same content, signed by bob.
            var again = mesh
            let names: [Statement] = try mesh.definitions.dropFirst(2).map {
                try JSON.decode(Document.self, from: Array($0.document.utf8)).statement
            }
            again.definitions = Array(mesh.definitions.prefix(2)) + removal
            for statement in names { try again.define(statement, by: bob, madeAt: later(10)) }
            let all = MapChanges(from: 7, definitions: Array(again.definitions.dropFirst(2)))
            let belief = try await mesh.believe(
                mesh.event(all, checkpoint: try again.checkpoint(version: 8)), after: known)
            #expect(belief.chain.admins.keys.map(\.rawValue) == ["bob"])
            #expect(belief.map.agents.count == known.map.agents.count)
            // Ann's key is worth nothing from then on.
            var late = again
            try late.define(.agent(SignedMesh.agent("two", on: "a")), by: mesh.admin, madeAt: later(11))
            await refuses("bears no signature of a key that may make this change") {
                try await mesh.believe(
                    mesh.event(MapChanges(from: 8, definitions: Array(late.definitions.suffix(1))), version: 9),
                    after: belief)
            }
        }
    }

    @Test func `a whole map that leaves an admin's removal out is refused`() async throws {
        let bob = SigningKey()
        try await withBob(bob) { mesh, known in
            await refuses("it leaves out what is known of the admins") {
                var shorter = mesh
                shorter.definitions.remove(at: 1)
                return try await mesh.believe(
                    try shorter.event(version: 9, checkpoint: try shorter.checkpoint(version: 9)), after: known)
            }
        }
    }

    // MARK: - Older statements

    @Test func `an older definition is never taken over a newer one, nor another of the same moment`() async throws {
        let known = try await mesh.believe(try mesh.event())
        for (seconds, isTaken) in [(-1, false), (0, false), (1, true)] {
            let other = try mesh.sign(
                .agent(SignedMesh.agent("one", on: "b")), with: mesh.admin, madeAt: later(seconds))
            let event = mesh.event(MapChanges(from: 7, definitions: [other]))
            if isTaken {
                #expect(try await mesh.believe(event, after: known).map.agents.count == 1)
            } else {
                await refuses("and a newer one, or another, is known") { [mesh] in
                    try await mesh.believe(event, after: known)
                }
            }
        }
    }

    @Test func `a definition that is gone does not come back in an older form`() async throws {
        let name = AgentName(unchecked: "one")
        let known = try await mesh.believe(
            mesh.event(MapChanges(from: 7, removed: [.agent(name)])), after: try await mesh.believe(try mesh.event()))
        #expect(known.map.agents.isEmpty)
        // The very same may: it was only not needed here for a while.
        let same = mesh.event(MapChanges(from: 8, definitions: [mesh.definitions[1]]), version: 9)
        #expect(try await mesh.believe(same, after: known).map.agents[name] != nil)
        let older = try mesh.sign(.agent(SignedMesh.agent("one", on: "b")), with: mesh.admin, madeAt: later(-1))
        await refuses("and a newer one, or another, is known") { [mesh] in
            try await mesh.believe(mesh.event(MapChanges(from: 8, definitions: [older]), version: 9), after: known)
        }
    }

    @Test func `an older statement of a node is left out, and the node with it`() async throws {
        let fresh = try mesh.node("b", 2, wireGuard: 50, madeAt: later(5))
        let known = try await mesh.believe(
            mesh.event(MapChanges(from: 7, nodes: [fresh])), after: try await mesh.believe(try mesh.event()))
        let belief = try await mesh.believe(
            mesh.event(MapChanges(from: 8, nodes: [mesh.nodes[1]]), version: 9), after: known)
        #expect(belief.map.nodes.keys.map(\.rawValue) == ["a"])
        #expect(belief.leftOut.count == 1)
    }

    @Test func `changes of another map than ours are refused`() async throws {
        let known = try await mesh.believe(try mesh.event())
        await refuses("the coordinator sent changes of map 8, and this node has 7") { [mesh] in
            try await mesh.believe(mesh.event(MapChanges(from: 8), version: 9), after: known)
        }
        await refuses("the coordinator sent changes of no map") { [mesh] in
            try await mesh.believe(mesh.event(MapChanges(from: 7)))
        }
    }

    // MARK: - Certificates

    @Test func `a node whose certificate has run out is left out, with its sessions`() async throws {
        var mesh = mesh
        mesh.sessions = [try mesh.session(3, lasting: .seconds(86_400 * 40))]
        let known = try await mesh.believe(try mesh.event())
        let much = SignedMesh.now + .seconds(86_400 * 31)
        let event = MapEvent(
            version: 8, issuedAt: much, validUntil: much + .seconds(60),
            checkpoint: try mesh.checkpoint(lasting: .seconds(86_400 * 40)), content: .unchanged)
        let belief = try await mesh.believe(event, after: known)
        #expect(belief.map.nodes.isEmpty && belief.map.sessions.isEmpty)
        #expect(belief.leftOut.count == 3)
    }

    // MARK: - Helpers

    private func admin(_ name: String, _ key: SigningKey) -> AdminStatement {
        AdminStatement(name: UserName(unchecked: name), key: SigningPublicKey(key.publicKey))
    }

    private func withBob(_ bob: SigningKey, _ use: (SignedMesh, BelievedMap) async throws -> Void) async throws {
        var mesh = mesh
        mesh.definitions.insert(
            try mesh.sign(.admin(admin("bob", bob)), with: mesh.admin, madeAt: later(-50)), at: 1)
        try await use(mesh, try await mesh.believe(try mesh.event()))
    }

    private func refuses(
        _ reason: String, at location: SourceLocation = #_sourceLocation,
        _ body: () async throws -> BelievedMap
    ) async {
        let error = await #expect(throws: NodeError.self, sourceLocation: location) { _ = try await body() }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")", sourceLocation: location)
    }
}
