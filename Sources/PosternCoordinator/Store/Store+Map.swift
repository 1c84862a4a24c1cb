package import CoordinationAPI
import GRDB
import Mesh

extension Store {
    /// The map as it stands, all of one version.
    package func map(of mesh: Settings) async throws -> MapMessage {
        try await database.read { db in
            MapMessage(
                mesh: mesh.domain, pool: mesh.pool, version: try db.meshVersion(),
                definitions: try db.definitionEnvelopes(), nodes: try db.nodeEntries(),
                sessions: try db.sessionEntries())
        }
    }

    /// The registry as admins see it; what nodes said of themselves since is the caller's to add.
    package func registry(of mesh: Settings) async throws -> Registry {
        try await database.read { db in
            let definitions = try db.definitions()
            return Registry(
                mesh: mesh.domain, version: try db.meshVersion(), nodes: try db.nodes(of: mesh.pool),
                agents: definitions.agents.values.sorted { $0.name < $1.name },
                services: definitions.services.values.sorted { $0.name < $1.name },
                policies: definitions.policies.values.sorted { $0.name < $1.name },
                sessions: try db.sessions(of: mesh.pool))
        }
    }
}

extension Database {
    fileprivate func nodeEntries() throws -> [MapMessage.NodeEntry] {
        try Row.fetchAll(self, sql: "SELECT peer, place, certificate, statement FROM nodes ORDER BY peer").map { row in
            MapMessage.NodeEntry(
                peer: try row.peer(), offset: try row.place(), certificate: row["certificate"],
                statement: try decode(Envelope.self, row["statement"]))
        }
    }

    fileprivate func sessionEntries() throws -> [MapMessage.SessionEntry] {
        try Row.fetchAll(self, sql: "SELECT peer, place, started, expires, statement FROM sessions ORDER BY peer").map {
            row in
            MapMessage.SessionEntry(
                peer: try row.peer(), offset: try row.place(), expires: Timestamp(rawValue: row["expires"]),
                maximum: Timestamp(rawValue: row["started"]) + SessionLimit.maximum,
                statement: try decode(Envelope.self, row["statement"]))
        }
    }

    fileprivate func nodes(of pool: AddressPool) throws -> [Registry.Node] {
        try Row.fetchAll(self, sql: "SELECT place, statement FROM nodes ORDER BY name").map { row in
            let envelope = try decode(Envelope.self, row["statement"])
            guard case .node(let statement) = try decode(Document.self, envelope.document).statement else {
                throw Damage("nodes")
            }
            return Registry.Node(
                name: statement.name, address: pool.ipv4(at: try row.place()).description,
                endpoints: statement.endpoints, applied: nil, seenAt: nil)
        }
    }

    fileprivate func sessions(of pool: AddressPool) throws -> [Registry.Session] {
        let sql = "SELECT id, agent, node, place, expires FROM sessions ORDER BY started, id"
        return try Row.fetchAll(self, sql: sql).map { row in
            Registry.Session(
                id: try SessionID(row["id"]), agent: try AgentName(row["agent"]), node: try NodeName(row["node"]),
                address: pool.ipv4(at: try row.place()).description, expires: Timestamp(rawValue: row["expires"]))
        }
    }
}
