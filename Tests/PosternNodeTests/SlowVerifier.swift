import CoordinationAPI
import Crypto
import Identity
import Mesh

/// The whole map from all of its statements, the slow and obvious way: what the deltas must add up to.
struct SlowVerifier {
    let mesh: SignedMesh

    func map(of event: MapEvent) async throws -> NetworkMap {
        guard case .whole(let message) = event.content else { throw TestError("it is for whole maps") }
        var map = NetworkMap(
            mesh: message.mesh, pool: message.pool, version: event.version, issuedAt: event.issuedAt,
            validUntil: event.validUntil)
        for envelope in message.definitions { place(try document(envelope).statement, in: &map) }
        var keys: [NodeName: P256.Signing.PublicKey] = [:]
        for entry in message.nodes {
            guard
                let certificate = try? await mesh.ca.anchor.verify(
                    EncodedCertificate(pem: entry.certificate), for: .client, at: event.issuedAt),
                let document = try? entry.statement.document(
                    signedByOneOf: [certificate.publicKey], of: SignedMesh.name),
                case .node(let said) = document.statement, certificate.id.role == .node(said.name)
            else { continue }
            keys[said.name] = certificate.publicKey
            map.nodes[said.name] = NetworkMap.Node(
                name: said.name, peer: entry.peer, offset: entry.offset, key: said.key, endpoints: said.endpoints)
        }
        for entry in message.sessions {
            guard case .session(let said) = try document(entry.statement).statement, let key = keys[said.node],
                (try? entry.statement.document(signedByOneOf: [key], of: SignedMesh.name)) != nil,
                let agent = map.agents[said.agent], !agent.disabled, agent.nodes.contains(said.node)
            else { continue }
            map.sessions[said.id] = NetworkMap.Session(
                id: said.id, agent: said.agent, node: said.node, peer: entry.peer, offset: entry.offset, key: said.key,
                endpoints: said.endpoints, expires: min(entry.expires, entry.maximum), maximum: entry.maximum)
        }
        dropShared(&map)
        return map
    }

    private func document(_ envelope: Envelope) throws -> Document {
        try JSON.decode(Document.self, from: Array(envelope.document.utf8))
    }

    private func place(_ statement: Statement, in map: inout NetworkMap) {
        switch statement {
        case .agent(let agent): map.agents[agent.name] = agent
        case .service(let service): map.services[service.name] = service
        case .policy(let policy): map.policies[policy.name] = policy
        default: break
        }
    }

    private func dropShared(_ map: inout NetworkMap) {
        var places: [String: Int] = [:]
        func count(_ peer: PeerID, _ offset: MeshOffset, _ key: WireGuardPublicKey) -> [String] {
            ["peer \(peer)", "offset \(offset)", "key \(key)"]
        }
        let nodes = map.nodes.mapValues { count($0.peer, $0.offset, $0.key) }
        let sessions = map.sessions.mapValues { count($0.peer, $0.offset, $0.key) }
        for place in Array(nodes.values.joined()) + Array(sessions.values.joined()) { places[place, default: 0] += 1 }
        map.nodes = map.nodes.filter { (nodes[$0.key] ?? []).allSatisfy { places[$0] == 1 } }
        map.sessions = map.sessions.filter { (sessions[$0.key] ?? []).allSatisfy { places[$0] == 1 } }
    }
}
