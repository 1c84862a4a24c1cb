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

    static func document(_ statement: Statement = .agent(agent), mesh: MeshDomain = mesh) -> Document {
        Document(mesh: mesh, madeAt: moment, statement: statement)
    }
}

/// A sample that cannot be made is a mistake of the test.
struct SampleError: Error {}
