import CoordinationAPI
import Identity
import Mesh
import PosternNode
import Testing
import WireGuard

/// A mesh with real keys, certificates and signatures: what its coordinator hands out.
struct SignedMesh {
    static let name = MeshDomain(unchecked: "demo.internal")
    static let now = Timestamp(rawValue: 1_800_000_000_000)

    let ca: CertificateAuthority
    let admin = SigningKey()
    let pool: AddressPool
    var definitions: [Envelope] = []
    var nodes: [MapMessage.NodeEntry] = []
    var sessions: [MapMessage.SessionEntry] = []
    private(set) var keys: [String: SigningKey] = [:]

    /// Nodes `a` and `b`; agent `one`, who may run on `a`; a service and a policy.
    init(issuedAt moment: Timestamp = now) throws {
        ca = try CertificateAuthority(new: Self.name, at: moment)
        pool = try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56 | 7))
        let first = AdminStatement(name: UserName(unchecked: "ann"), key: SigningPublicKey(admin.publicKey))
        definitions = [try sign(.admin(first), with: admin, madeAt: Self.now + .seconds(-100))]
        try define(.agent(Self.agent("one", on: "a")))
        try define(
            .service(
                ServiceDefinition(
                    name: ServiceName(unchecked: "ledger"), node: NodeName(unchecked: "b"), protocol: .tcp,
                    port: try port(8080))))
        try define(
            .policy(
                PolicyDocument(name: PolicyName(unchecked: "demo.cedar"), text: "permit (principal, action, resource);")
            )
        )
        for (name, number) in [("a", 1), ("b", 2)] as [(String, UInt32)] {
            keys[name] = SigningKey()
            nodes.append(try node(name, number, issuedAt: moment))
        }
    }

    static func agent(_ name: String, on node: String, disabled: Bool = false) -> AgentDefinition {
        AgentDefinition(
            name: AgentName(unchecked: name), owner: UserName(unchecked: "ann"), nodes: [NodeName(unchecked: node)],
            disabled: disabled)
    }

    mutating func define(
        _ statement: Statement, by key: SigningKey? = nil, for mesh: MeshDomain = name, madeAt: Timestamp = now
    ) throws {
        definitions.append(try sign(statement, with: key ?? admin, for: mesh, madeAt: madeAt))
    }

    func sign(
        _ statement: Statement, with key: SigningKey, for mesh: MeshDomain = name, madeAt: Timestamp = now
    ) throws -> Envelope {
        try Envelope(
            signing: Document(mesh: mesh, madeAt: madeAt, statement: statement), with: key.privateKey)
    }

    /// A node's entry; what is given differs from what an honest node would send.
    func node(
        _ name: String, _ number: UInt32, said: String? = nil, ca: CertificateAuthority? = nil, offset: UInt32? = nil,
        wireGuard: UInt32? = nil, issuedAt: Timestamp = now, signedBy: SigningKey? = nil, madeAt: Timestamp = now
    ) throws -> MapMessage.NodeEntry {
        let key = try #require(keys[name])
        let id = SPIFFEID(mesh: Self.name, role: .node(NodeName(unchecked: name)))
        let request = try CertificateRequest(verifying: try CertificateRequest.make(with: key, for: id))
        let certificate = try (ca ?? self.ca).issueNode(NodeName(unchecked: name), request: request, at: issuedAt)
        let statement = NodeStatement(
            name: NodeName(unchecked: said ?? name), key: try PosternNodeTests.key(wireGuard ?? number).publicKey,
            endpoints: [try endpoint(number)])
        return MapMessage.NodeEntry(
            peer: try peer(number), offset: try self.offset(offset ?? number), certificate: certificate.pem,
            statement: try sign(.node(statement), with: signedBy ?? key, madeAt: madeAt))
    }

    /// Gives a node another TLS key.
    mutating func renewKey(of name: String) { keys[name] = SigningKey() }

    mutating func addNode(_ name: String, _ number: UInt32) throws {
        keys[name] = SigningKey()
        nodes.append(try node(name, number))
    }

    /// A session's entry; what is given differs from what an honest node would send.
    func session(
        _ number: UInt32, of agent: String = "one", on node: String = "a", signedBy: SigningKey? = nil,
        offset: UInt32? = nil, wireGuard: UInt32? = nil, lasting: Duration = .seconds(3600), madeAt: Timestamp = now,
        for person: (login: Envelope, key: SigningKey)? = nil
    ) throws -> MapMessage.SessionEntry {
        let key = try #require(signedBy ?? keys[node])
        let presence = PresenceStatement(
            session: id(number), agent: AgentName(unchecked: agent), node: NodeName(unchecked: node))
        let proof = try person.map {
            PersonProof(login: $0.login, presence: try sign(.presence(presence), with: $0.key, madeAt: madeAt))
        }
        let statement = SessionStatement(
            id: presence.session, agent: presence.agent, node: presence.node,
            key: try PosternNodeTests.key(wireGuard ?? number).publicKey, endpoints: [try endpoint(number)],
            person: proof)
        return MapMessage.SessionEntry(
            peer: try peer(number), offset: try self.offset(offset ?? number), expires: Self.now + lasting,
            maximum: Self.now + max(lasting, .seconds(8 * 3600)),
            statement: try sign(.session(statement), with: key, madeAt: madeAt))
    }

    /// A login of a person's, and its key.
    func login(of person: String, signedBy key: SigningKey) throws -> (login: Envelope, key: SigningKey) {
        let own = SigningKey()
        let statement = LoginStatement(
            person: UserName(unchecked: person), key: SigningPublicKey(own.publicKey),
            notAfter: Self.now + .seconds(3600))
        return (try sign(.login(statement), with: key), own)
    }

    func id(_ number: UInt32) -> SessionID {
        SessionID(unchecked: hex((0..<16).map { _ in UInt8(truncatingIfNeeded: number) }))
    }

    func message(mesh: MeshDomain = name, pool: AddressPool? = nil) -> MapMessage {
        MapMessage(
            mesh: mesh, pool: pool ?? self.pool, version: 7, definitions: definitions, nodes: nodes, sessions: sessions)
    }

    /// What the coordinator's CA says of the definitions there are, or of those given.
    func checkpoint(
        epoch: UInt64 = 1, version: UInt64 = 7, of definitions: [Envelope]? = nil, lasting: Duration = .seconds(86_400),
        signedBy key: SigningKey? = nil
    ) throws -> Envelope {
        let statements = (definitions ?? self.definitions).compactMap { envelope in
            (try? JSON.decode(Document.self, from: Array(envelope.document.utf8)))
                .map { (statement: $0.statement, envelope: envelope) }
        }
        let checkpoint = Checkpoint(
            epoch: epoch, version: version, statements: Fingerprint(ofStatements: statements),
            admins: Fingerprint(ofStatements: statements.filter { $0.statement.entry?.kind == "admin" }),
            policies: Fingerprint(ofStatements: statements.filter { $0.statement.entry?.kind == "policy" }),
            notAfter: Self.now + lasting)
        return try sign(.checkpoint(checkpoint), with: key ?? ca.key)
    }

    /// The whole map as an event.
    func event(
        _ message: MapMessage? = nil, version: UInt64 = 7, validFor validity: Duration = .seconds(7200),
        at moment: Timestamp = now, checkpoint: Envelope? = nil, sessionLease: Int? = nil
    ) throws -> MapEvent {
        MapEvent(
            version: version, issuedAt: moment, validUntil: moment + validity,
            checkpoint: try checkpoint ?? self.checkpoint(version: version), content: .whole(message ?? self.message()),
            sessionLeaseSeconds: sessionLease)
    }

    /// What changed, as an event.
    func event(
        _ changes: MapChanges, version: UInt64 = 8, at moment: Timestamp = now, checkpoint: Envelope? = nil
    ) -> MapEvent {
        MapEvent(
            version: version, issuedAt: moment, validUntil: moment + .seconds(7200), checkpoint: checkpoint,
            content: .changes(changes))
    }

    var verifier: MapVerifier {
        MapVerifier(mesh: Self.name, pool: pool, anchor: ca.anchor, root: SigningPublicKey(admin.publicKey))
    }

    func verify(
        _ message: MapMessage? = nil, validFor validity: Duration = .seconds(7200)
    ) async throws -> BelievedMap {
        try await believe(try event(message, validFor: validity))
    }

    /// What is believed after an event.
    func believe(
        _ event: MapEvent, after belief: BelievedMap? = nil, floor: Position? = nil
    ) async throws -> BelievedMap {
        let certificates = await verifier.certificates(in: event, after: belief)
        let change = try verifier.check(event, certificates: certificates, after: belief, floor: floor)
        return try #require(change.applied(to: belief, mesh: Self.name, pool: pool))
    }

    private func peer(_ number: UInt32) throws -> PeerID { try #require(PeerID(rawValue: number)) }

    private func offset(_ number: UInt32) throws -> MeshOffset { try #require(MeshOffset(rawValue: 100 + number)) }

    private func endpoint(_ number: UInt32) throws -> Endpoint {
        Endpoint(address: .v4(IPv4Address(rawValue: 192 << 24 | 2 << 8 | number)), port: try port(51820))
    }
}
