import CoordinationAPI
import Crypto
import Mesh

/// Values that tests put into messages.
enum Sample {
    static let mesh = MeshDomain(unchecked: "demo.internal")
    static let moment = Timestamp(rawValue: 1_769_850_000_000)
    static let session = SessionID(unchecked: "00112233445566778899aabbccddeeff")
    static let node = NodeName(unchecked: "node-a")
    static let key = P256.Signing.PrivateKey()
    static let otherKey = P256.Signing.PrivateKey()

    static func wireGuardKey() throws(SampleError) -> WireGuardPublicKey {
        guard let key = WireGuardPublicKey(bytes: [UInt8](repeating: 7, count: 32)) else { throw SampleError() }
        return key
    }

    static func endpoint() throws(SampleError) -> Endpoint {
        guard let endpoint = Endpoint("192.0.2.1:51820") else { throw SampleError() }
        return endpoint
    }

    static let agent = AgentDefinition(
        name: AgentName(unchecked: "crew/writer"), owner: UserName(unchecked: "ana"),
        groups: [GroupName(unchecked: "finance")], nodes: [node])

    /// One of each kind.
    static func statements() throws -> [Statement] {
        guard let port = Port(rawValue: 8080) else { throw SampleError() }
        return [
            .agent(agent),
            .service(
                ServiceDefinition(
                    name: ServiceName(unchecked: "ledger"), node: node, protocol: .tcp, port: port,
                    tags: [TagName(unchecked: "prod")])),
            .policy(
                PolicyDocument(name: PolicyName(unchecked: "demo.cedar"), text: "permit (principal, action, resource);")
            ),
            .removal(.agent(agent.name)),
            .removal(.service(ServiceName(unchecked: "ledger"))),
            .removal(.policy(PolicyName(unchecked: "demo.cedar"))),
            .removal(.admin(UserName(unchecked: "bob"))),
            .removal(.node(node)),
            .node(NodeStatement(name: node, key: try wireGuardKey(), endpoints: [try endpoint()])),
            .session(
                SessionStatement(
                    id: session, agent: agent.name, node: node, key: try wireGuardKey(), endpoints: [try endpoint()])),
            .session(
                SessionStatement(
                    id: session, agent: agent.name, node: node, key: try wireGuardKey(), endpoints: [])),
            .login(
                LoginStatement(
                    person: UserName(unchecked: "ann"), key: SigningPublicKey(key.publicKey), notAfter: moment)),
            .presence(PresenceStatement(session: session, agent: agent.name, node: node)),
            .session(
                SessionStatement(
                    id: session, agent: agent.name, node: node, key: try wireGuardKey(), endpoints: [],
                    person: PersonProof(
                        login: Envelope(document: "a", signatures: []),
                        presence: Envelope(document: "b", signatures: [])))),
            .renewal(SessionRenewal(id: session, expires: moment)),
            .sessionEnd(session),
            .admin(AdminStatement(name: UserName(unchecked: "bob"), key: SigningPublicKey(key.publicKey))),
            .checkpoint(checkpoint()),
        ]
    }

    static func checkpoint(epoch: UInt64 = 1, version: UInt64 = 7) -> Checkpoint {
        Checkpoint(
            epoch: epoch, version: version, statements: Fingerprint(of: [1]), admins: Fingerprint(of: [2]),
            policies: Fingerprint(of: [3]), notAfter: moment)
    }

    /// A whole map, changes to it, and a heartbeat.
    static func mapEvents() throws -> [MapEvent] {
        let envelope = try Envelope(signing: document(), with: key)
        guard let peer = PeerID(rawValue: 3), let offset = MeshOffset(rawValue: 4),
            let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56)
        else { throw SampleError() }
        let node = MapMessage.NodeEntry(peer: peer, offset: offset, certificate: "PEM\n", statement: envelope)
        let session = MapMessage.SessionEntry(
            peer: peer, offset: offset, expires: moment, maximum: moment + .seconds(1), statement: envelope)
        let whole = MapMessage(
            mesh: mesh, pool: pool, version: 9, definitions: [envelope], nodes: [node], sessions: [session])
        let changes = MapChanges(
            from: 8, definitions: [envelope],
            removed: [.agent(agent.name), .policy(PolicyName(unchecked: "demo.cedar"))], nodes: [node],
            removedNodes: [Sample.node], sessions: [session], removedSessions: [Sample.session])
        return [MapContent.whole(whole), .changes(changes), .unchanged].map {
            MapEvent(version: 9, issuedAt: moment, validUntil: moment, checkpoint: envelope, content: $0)
        }
    }

    static let token = JoinToken(
        mesh: mesh, url: "https://192.0.2.1:7443", ca: Fingerprint(of: []), admin: Fingerprint(of: []), node: node,
        expires: moment, secret: "c2VjcmV0")
    static let adminFile = AdminFile(
        mesh: mesh, url: "https://192.0.2.1:7443", ca: "PEM", certificate: "PEM", key: "PEM")

    static func document(_ statement: Statement = .agent(agent), mesh: MeshDomain = mesh) -> Document {
        Document(mesh: mesh, madeAt: moment, statement: statement)
    }
}

/// A sample that cannot be made is a mistake of the test.
struct SampleError: Error {}
