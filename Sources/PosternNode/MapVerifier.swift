package import CoordinationAPI
package import Crypto
package import Identity
package import Mesh

/// Turns the map as it travels into a map that is believed: every statement bears the signature it needs.
///
/// What admins say is taken as a whole or not at all, because a policy left out may be one that forbids. What nodes say
/// of themselves and of their sessions is taken one by one: leaving one out can only take access away.
package struct MapVerifier: Sendable {
    package let mesh: MeshDomain
    package let pool: AddressPool
    package let anchor: TrustAnchor
    package let admins: [P256.Signing.PublicKey]

    /// The map, and a sentence for each peer that was left out.
    package struct Verified: Equatable, Sendable {
        package let map: NetworkMap
        package let leftOut: [String]
    }

    package init(mesh: MeshDomain, pool: AddressPool, anchor: TrustAnchor, admins: [P256.Signing.PublicKey]) {
        (self.mesh, self.pool, self.anchor, self.admins) = (mesh, pool, anchor, admins)
    }

    /// Checks a map that the coordinator gave between `issuedAt` and `validUntil`.
    package func verify(
        _ message: MapMessage, issuedAt: Timestamp, validUntil: Timestamp
    ) async throws(NodeError) -> Verified {
        guard message.mesh == mesh, message.pool == pool else {
            throw NodeError("the map is of another mesh, `\(message.mesh)`, or of another address pool")
        }
        var map = NetworkMap(
            mesh: mesh, pool: pool, version: message.version, issuedAt: issuedAt,
            validUntil: min(validUntil, issuedAt + Self.longestLease))
        try addDefinitions(message.definitions, to: &map)
        var leftOut: [String] = []
        let keys = await addNodes(message.nodes, to: &map, leftOut: &leftOut)
        addSessions(message.sessions, signedBy: keys, to: &map, leftOut: &leftOut)
        dropSharedPlaces(in: &map, leftOut: &leftOut)
        return Verified(map: map, leftOut: leftOut)
    }

    /// How long a node may go on without its coordinator, whatever the coordinator says.
    package static let longestLease = Duration.seconds(86_400)

    private func addDefinitions(_ envelopes: [Envelope], to map: inout NetworkMap) throws(NodeError) {
        for envelope in envelopes {
            let statement: Statement
            do { statement = try envelope.document(signedByOneOf: admins, of: mesh).statement } catch {
                throw NodeError("the map holds a definition that is not to be believed: \(error)")
            }
            switch statement {
            case .agent(let agent): map.agents[agent.name] = agent
            case .service(let service): map.services[service.name] = service
            case .policy(let policy): map.policies[policy.name] = policy
            case .admin, .removal, .node, .session, .renewal, .sessionEnd, .checkpoint:
                throw NodeError("the map holds, among its definitions, a statement that is none")
            }
        }
    }

    private func addNodes(
        _ entries: [MapMessage.NodeEntry], to map: inout NetworkMap, leftOut: inout [String]
    ) async -> [NodeName: P256.Signing.PublicKey] {
        var keys: [NodeName: P256.Signing.PublicKey] = [:]
        for entry in entries {
            do {
                let (node, key) = try await self.node(entry, at: map.issuedAt)
                map.nodes[node.name] = node
                keys[node.name] = key
            } catch { leftOut.append("peer \(entry.peer) is left out: \(error)") }
        }
        return keys
    }

    private func node(
        _ entry: MapMessage.NodeEntry, at now: Timestamp
    ) async throws -> (NetworkMap.Node, P256.Signing.PublicKey) {
        let certificate = try await anchor.verify(EncodedCertificate(pem: entry.certificate), for: .client, at: now)
        let document = try entry.statement.document(signedByOneOf: [certificate.publicKey], of: mesh)
        guard case .node(let statement) = document.statement, certificate.id.role == .node(statement.name) else {
            throw NodeError("its statement is not that of the node in its certificate")
        }
        let node = NetworkMap.Node(
            name: statement.name, peer: entry.peer, offset: entry.offset, key: statement.key,
            endpoints: statement.endpoints)
        return (node, certificate.publicKey)
    }

    private func addSessions(
        _ entries: [MapMessage.SessionEntry], signedBy keys: [NodeName: P256.Signing.PublicKey],
        to map: inout NetworkMap, leftOut: inout [String]
    ) {
        let known = Dictionary(keys.values.map { (text(of: $0), $0) }, uniquingKeysWith: { first, _ in first })
        for entry in entries {
            do {
                // Only the keys that claim to have signed are asked: there are many nodes, and many more sessions.
                let signatures = entry.statement.signatures
                let signers = signatures.compactMap { known[$0.key] }
                let document = try entry.statement.document(signedByOneOf: signers, of: mesh)
                guard case .session(let said) = document.statement, let key = keys[said.node],
                    signatures.contains(where: { $0.key == text(of: key) })
                else { throw NodeError("its statement is not that of a session, signed by the session's node") }
                guard let agent = map.agents[said.agent], !agent.disabled, agent.nodes.contains(said.node) else {
                    throw NodeError("node `\(said.node)` may not run agent `\(said.agent)`")
                }
                map.sessions[said.id] = NetworkMap.Session(
                    id: said.id, agent: said.agent, node: said.node, peer: entry.peer, offset: entry.offset,
                    key: said.key, endpoints: said.endpoints,
                    expires: min(entry.expires, entry.maximum, map.issuedAt + Self.longestLease),
                    maximum: entry.maximum)
            } catch { leftOut.append("peer \(entry.peer) is left out: \(error)") }
        }
    }

    /// A key as signatures bear it.
    private func text(of key: P256.Signing.PublicKey) -> String { encodeBase64(Array(key.x963Representation)) }

    /// Two peers with one id, address or key: nobody can tell who is meant, so neither is taken.
    private func dropSharedPlaces(in map: inout NetworkMap, leftOut: inout [String]) {
        let peers =
            map.nodes.values.map { ($0.peer, $0.offset, $0.key) }
            + map.sessions.values.map { ($0.peer, $0.offset, $0.key) }
        let ids = repeated(peers.map(\.0))
        let offsets = repeated(peers.map(\.1))
        let keys = repeated(peers.map(\.2))
        guard !(ids.isEmpty && offsets.isEmpty && keys.isEmpty) else { return }
        func isShared(_ peer: PeerID, _ offset: MeshOffset, _ key: WireGuardPublicKey) -> Bool {
            ids.contains(peer) || offsets.contains(offset) || keys.contains(key)
        }
        map.nodes = map.nodes.filter { !isShared($0.value.peer, $0.value.offset, $0.value.key) }
        map.sessions = map.sessions.filter { !isShared($0.value.peer, $0.value.offset, $0.value.key) }
        leftOut.append("peers that share an id, an address or a key are left out")
    }

    private func repeated<Value: Hashable>(_ values: [Value]) -> Set<Value> {
        var (seen, twice): (Set<Value>, Set<Value>) = ([], [])
        for value in values where !seen.insert(value).inserted { twice.insert(value) }
        return twice
    }
}
