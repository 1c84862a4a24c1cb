import CoordinationAPI
import GRDB
import Mesh

extension Database {
    /// All that the map is made of, as it stands here.
    func storedRegistry() throws -> StoredRegistry {
        StoredRegistry(
            settings: try settings(), version: try meshVersion(), admins: try adminEnvelopes(),
            statements: try statementRows(), nodes: try nodeRows(), sessions: try sessionRows(), log: try logRows())
    }

    /// Throws if the statements here are not these: then somebody else wrote them, and no checkpoint is signed.
    func expect(_ statements: StatementSet) throws {
        let rows = try statementRows()
        guard try adminEnvelopes().map(\.document) == statements.chain.links.map(\.envelope.document),
            rows.count == statements.rows.count,
            rows.allSatisfy({
                statements.rows[.init(kind: $0.kind, name: $0.name)]?.envelope.document == $0.envelope.document
            })
        else {
            throw Refusal(
                .unwritable,
                "somebody changed the coordinator's database behind its back: it takes no change until that is mended")
        }
    }

    private func settings() throws -> Store.Settings {
        guard let row = try Row.fetchOne(self, sql: "SELECT domain, url, pool FROM mesh") else { throw Damage("mesh") }
        return Store.Settings(
            domain: try MeshDomain(row["domain"]), url: row["url"], pool: try decode(AddressPool.self, row["pool"]))
    }

    private func adminEnvelopes() throws -> [Envelope] {
        try Row.fetchAll(self, sql: "SELECT document, signatures FROM admins ORDER BY number").map(Envelope.init)
    }

    private func statementRows() throws -> [StoredRegistry.Row] {
        try Row.fetchAll(self, sql: "SELECT kind, name, document, signatures FROM statements ORDER BY kind, name").map {
            row in
            StoredRegistry.Row(kind: row["kind"], name: row["name"], envelope: try Envelope(row))
        }
    }

    private func nodeRows() throws -> [StoredRegistry.Node] {
        let sql = "SELECT name, key, peer, place, certificate, previous_certificate, statement FROM nodes ORDER BY peer"
        return try Row.fetchAll(self, sql: sql).map { row in
            StoredRegistry.Node(
                name: row["name"], key: row["key"], peer: try row.peer(), offset: try row.place(),
                certificate: row["certificate"], previous: row["previous_certificate"],
                statement: try decode(Envelope.self, row["statement"]))
        }
    }

    private func sessionRows() throws -> [StoredRegistry.Session] {
        let sql = "SELECT id, agent, node, key, peer, place, started, expires, statement FROM sessions ORDER BY peer"
        return try Row.fetchAll(self, sql: sql).map { row in
            StoredRegistry.Session(
                id: row["id"], agent: row["agent"], node: row["node"], key: row["key"], peer: try row.peer(),
                offset: try row.place(), started: Timestamp(rawValue: row["started"]),
                expires: Timestamp(rawValue: row["expires"]), statement: try decode(Envelope.self, row["statement"]))
        }
    }

    private func logRows() throws -> [StoredRegistry.Logged] {
        let sql = """
            SELECT number, version, subject, envelope FROM changes
            WHERE subject IS NOT NULL AND envelope IS NOT NULL ORDER BY number
            """
        return try Row.fetchAll(self, sql: sql).map { row in
            StoredRegistry.Logged(
                number: row["number"], version: UInt64(clamping: row["version"] as Int64), subject: row["subject"],
                envelope: try decode(Envelope.self, row["envelope"]))
        }
    }
}

extension Envelope {
    fileprivate init(_ row: Row) throws {
        self.init(document: row["document"], signatures: try decode([Signature].self, row["signatures"]))
    }
}

extension Row {
    func peer() throws -> PeerID {
        guard let peer = UInt32(exactly: self["peer"] as Int64).flatMap(PeerID.init(rawValue:)) else {
            throw Damage("peers")
        }
        return peer
    }

    func place() throws -> MeshOffset {
        guard let place = UInt32(exactly: self["place"] as Int64).flatMap(MeshOffset.init(rawValue:)) else {
            throw Damage("places")
        }
        return place
    }
}
