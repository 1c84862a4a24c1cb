import CoordinationAPI
import Identity
import Mesh
import PosternNode
import Testing
import WireGuard

@Suite struct MapVerifierTests {
    private var mesh: SignedMesh

    init() throws { mesh = try SignedMesh() }

    @Test mutating func `a good map is believed as a whole`() async throws {
        mesh.sessions = [try mesh.session(3)]
        let verified = try await mesh.verify()
        #expect(verified.leftOut.isEmpty)
        let map = verified.map
        #expect(map.version == 7)
        #expect(map.issuedAt == SignedMesh.now)
        #expect(map.agents.keys.map(\.rawValue) == ["one"])
        #expect(map.services.keys.map(\.rawValue) == ["ledger"])
        #expect(map.policies.keys.map(\.rawValue) == ["demo.cedar"])
        #expect(map.nodes.keys.map(\.rawValue).sorted() == ["a", "b"])
        let session = try #require(map.sessions[mesh.id(3)])
        #expect(session.agent.rawValue == "one")
        #expect(session.node.rawValue == "a")
        #expect(session.peer.rawValue == 3)
        #expect(session.key == (try key(3).publicKey))
        #expect(session.expires == SignedMesh.now + .seconds(3600))
    }

    @Test func `an empty map is believed`() async throws {
        var empty = mesh
        (empty.definitions, empty.nodes) = ([mesh.definitions[0]], [])
        let map = try await empty.verify().map
        #expect(map.nodes.isEmpty && map.agents.isEmpty)
    }

    @Test(arguments: [(3600, 3600), (86_400, 86_400), (86_401, 86_400), (10_000_000, 86_400), (-1, -1)])
    func `a map is valid for a day at most, whatever the coordinator says`(said: Int, taken: Int) async throws {
        let map = try await mesh.verify(validFor: .seconds(said)).map
        #expect(map.validUntil == SignedMesh.now + .seconds(taken))
    }

    @Test mutating func `a session lasts for a day at most, whatever the coordinator says`() async throws {
        mesh.sessions = [try mesh.session(3, lasting: .seconds(1_000_000))]
        let map = try await mesh.verify().map
        #expect(map.sessions[mesh.id(3)]?.expires == SignedMesh.now + .seconds(86_400))
    }

    // MARK: - The whole map is refused

    @Test func `a map of another mesh is refused`() async throws {
        let message = mesh.message(mesh: MeshDomain(unchecked: "other.internal"))
        await #expect(throws: NodeError.self) { try await mesh.verify(message) }
    }

    @Test func `a map of another pool is refused`() async throws {
        let pool = try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56 | 8))
        let message = mesh.message(pool: pool)
        await #expect(throws: NodeError.self) { try await mesh.verify(message) }
    }

    @Test mutating func `a definition signed by a stranger refuses the map`() async throws {
        try mesh.define(.agent(SignedMesh.agent("two", on: "a")), by: SigningKey())
        await expectRefusal("bears no signature of a key that may make this change")
    }

    @Test mutating func `a definition signed by a node refuses the map`() async throws {
        try mesh.define(.agent(SignedMesh.agent("two", on: "a")), by: mesh.keys["a"])
        await expectRefusal("bears no signature of a key that may make this change")
    }

    @Test mutating func `a definition for another mesh refuses the map`() async throws {
        try mesh.define(.agent(SignedMesh.agent("two", on: "a")), for: MeshDomain(unchecked: "other.internal"))
        await expectRefusal("the document was made for another mesh, `other.internal`")
    }

    @Test mutating func `a definition that was changed refuses the map`() async throws {
        let original = mesh.definitions[1]
        let changed = original.document.replacing(#""disabled":false"#, with: #""disabled":true"#)
        #expect(changed != original.document)
        mesh.definitions[1] = Envelope(document: changed, signatures: original.signatures)
        await expectRefusal("a signature under the document does not fit it")
    }

    @Test mutating func `a definition without a signature refuses the map`() async throws {
        mesh.definitions[1] = Envelope(document: mesh.definitions[1].document, signatures: [])
        await expectRefusal("bears no signature")
    }

    @Test(arguments: ["node", "session", "removal"])
    func `what is no definition refuses the map, even if an admin signed it`(kind: String) async throws {
        var mesh = mesh
        let said = try mesh.session(3).statement.document(
            signedByOneOf: [try #require(mesh.keys["a"]).publicKey], of: SignedMesh.name)
        let node = try mesh.nodes[0].statement.document(
            signedByOneOf: [try #require(mesh.keys["a"]).publicKey], of: SignedMesh.name)
        switch kind {
        case "node": try mesh.define(node.statement)
        case "session": try mesh.define(said.statement)
        default: try mesh.define(.removal(.policy(PolicyName(unchecked: "demo.cedar"))))
        }
        await expectRefusal("its statement defines nothing", of: mesh)
    }

    private func expectRefusal(_ reason: String, of mesh: SignedMesh? = nil) async {
        let mesh = mesh ?? self.mesh
        let error = await #expect(throws: NodeError.self) { try await mesh.verify() }
        #expect(error?.description.contains(reason) == true)
        #expect(error?.description.hasPrefix("the map holds a definition that is not to be believed: ") == true)
    }
}

/// What nodes say of themselves and of their sessions: who is not to be believed is left out, and named.
@Suite struct MapVerifierPeerTests {
    private var mesh: SignedMesh

    init() throws { mesh = try SignedMesh() }

    @Test(arguments: ["CA", "expired", "early", "name", "signature", "kind", "garbage", "admin"])
    func `a node that is not what it says is left out`(flaw: String) async throws {
        var mesh = mesh
        let day = Duration.seconds(86_400)
        switch flaw {
        case "CA":
            mesh.nodes[0] = try mesh.node(
                "a", 1, ca: try CertificateAuthority(new: SignedMesh.name, at: SignedMesh.now))
        case "expired": mesh.nodes[0] = try mesh.node("a", 1, issuedAt: SignedMesh.now + (.zero - day * 31))
        case "early": mesh.nodes[0] = try mesh.node("a", 1, issuedAt: SignedMesh.now + day)
        case "name": mesh.nodes[0] = try mesh.node("a", 1, said: "c")
        case "signature": mesh.nodes[0] = try mesh.node("a", 1, signedBy: SigningKey())
        case "kind": mesh.nodes[0] = entry(certificate: mesh.nodes[0].certificate, try mesh.session(1).statement)
        case "garbage": mesh.nodes[0] = entry(certificate: "no certificate", mesh.nodes[0].statement)
        default:
            let key = try #require(mesh.keys["a"])
            let certificate = try mesh.ca.issueAdmin(UserName(unchecked: "a"), key: key.publicKey, at: SignedMesh.now)
            mesh.nodes[0] = entry(certificate: certificate.pem, mesh.nodes[0].statement)
        }
        try await expectLeftOut(peer: 1, from: mesh, nodes: ["b"], sessions: [])
    }

    @Test mutating func `a session of a node that is left out is left out with it`() async throws {
        mesh.sessions = [try mesh.session(3)]
        mesh.nodes[0] = try mesh.node("a", 1, signedBy: SigningKey())
        let verified = try await mesh.verify()
        #expect(verified.map.sessions.isEmpty)
        #expect(verified.leftOut.count == 2)
    }

    @Test(arguments: ["stranger", "other node", "unknown node", "not launchable", "unknown agent", "kind", "changed"])
    func `a session that its node may not have is left out`(flaw: String) async throws {
        var mesh = mesh
        let bad: MapMessage.SessionEntry
        switch flaw {
        case "stranger": bad = try mesh.session(9, signedBy: SigningKey())
        case "other node": bad = try mesh.session(9, signedBy: mesh.keys["b"])
        case "unknown node": bad = try mesh.session(9, on: "z", signedBy: mesh.keys["a"])
        case "not launchable": bad = try mesh.session(9, on: "b")
        case "unknown agent": bad = try mesh.session(9, of: "ghost")
        case "kind": bad = entry(9, mesh.nodes[0].statement)
        default:
            let honest = try mesh.session(9).statement
            bad = entry(
                9,
                Envelope(
                    document: honest.document.replacing(#""agent":"one""#, with: #""agent":"two""#),
                    signatures: honest.signatures))
        }
        mesh.sessions = [bad, try mesh.session(3)]
        try await expectLeftOut(peer: 9, from: mesh, nodes: ["a", "b"], sessions: [mesh.id(3)])
    }

    @Test mutating func `a session of a disabled agent is left out`() async throws {
        try mesh.define(.agent(SignedMesh.agent("gone", on: "a", disabled: true)))
        mesh.sessions = [try mesh.session(9, of: "gone"), try mesh.session(3)]
        try await expectLeftOut(peer: 9, from: mesh, nodes: ["a", "b"], sessions: [mesh.id(3)])
    }

    @Test(arguments: ["id", "address", "key"])
    func `of two peers in one place neither is taken`(what: String) async throws {
        var mesh = mesh
        try mesh.addNode("c", 4)
        switch what {
        case "id":
            let other = try mesh.session(5)
            mesh.sessions = [
                MapMessage.SessionEntry(
                    peer: mesh.nodes[1].peer, offset: other.offset, expires: other.expires,
                    maximum: other.maximum, statement: other.statement)
            ]
        case "address": mesh.sessions = [try mesh.session(5, offset: 2)]
        default: mesh.sessions = [try mesh.session(5, wireGuard: 2)]
        }
        mesh.sessions.append(try mesh.session(3))
        let verified = try await mesh.verify()
        #expect(verified.map.nodes.keys.map(\.rawValue).sorted() == ["a", "c"])
        #expect(Set(verified.map.sessions.keys) == [mesh.id(3)])
        #expect(verified.leftOut.count == 2)
    }

    @Test mutating func `two sessions with one key are both left out`() async throws {
        mesh.sessions = [try mesh.session(3), try mesh.session(5, wireGuard: 3), try mesh.session(6)]
        let verified = try await mesh.verify()
        #expect(Set(verified.map.sessions.keys) == [mesh.id(6)])
    }

    @Test mutating func `a second signature neither helps a stranger nor hurts a node`() async throws {
        let (a, b) = (try mesh.session(3), try mesh.session(3, signedBy: mesh.keys["b"]))
        let stranger = try mesh.session(9, signedBy: SigningKey())
        let both = Envelope(
            document: a.statement.document,
            signatures: a.statement.signatures + b.statement.signatures)
        let none = Envelope(
            document: stranger.statement.document,
            signatures: stranger.statement.signatures + a.statement.signatures)
        mesh.sessions = [entry(3, both), entry(9, none)]
        #expect(b.statement.document == a.statement.document)
        try await expectLeftOut(peer: 9, from: mesh, nodes: ["a", "b"], sessions: [mesh.id(3)])
    }

    private func entry(certificate: String, _ statement: Envelope) -> MapMessage.NodeEntry {
        MapMessage.NodeEntry(
            peer: mesh.nodes[0].peer, offset: mesh.nodes[0].offset, certificate: certificate, statement: statement)
    }

    private func entry(_ number: UInt32, _ statement: Envelope) -> MapMessage.SessionEntry {
        guard let peer = PeerID(rawValue: number), let offset = MeshOffset(rawValue: number) else {
            fatalError("a small number is a peer and an offset")
        }
        return MapMessage.SessionEntry(
            peer: peer, offset: offset, expires: SignedMesh.now + .seconds(60),
            maximum: SignedMesh.now + .seconds(60), statement: statement)
    }

    private func expectLeftOut(
        peer: Int, from mesh: SignedMesh, nodes: [String], sessions: Set<SessionID>,
        at location: SourceLocation = #_sourceLocation
    ) async throws {
        let verified = try await mesh.verify()
        #expect(verified.map.nodes.keys.map(\.rawValue).sorted() == nodes, sourceLocation: location)
        #expect(Set(verified.map.sessions.keys) == sessions, sourceLocation: location)
        #expect(verified.leftOut.count == 1, sourceLocation: location)
        #expect(
            verified.leftOut.first?.contains("is left out: ") == true, "\(verified.leftOut)",
            sourceLocation: location)
    }
}
