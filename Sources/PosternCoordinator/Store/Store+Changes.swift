import CoordinationAPI
import GRDB
package import Mesh

extension Store {
    /// Makes a change of the definitions, all of it or nothing, and ends the sessions that they no longer allow.
    package func make(_ change: Change, now: Timestamp) async throws -> UInt64 {
        try await database.write { db in
            let version = try db.raiseVersion()
            for item in change.items {
                try db.log(item.statement.summary, version: version, at: now, envelope: item.envelope)
            }
            let definitions = try change.applied(to: try db.definitions())
            for item in change.items { try db.keep(item, version: version) }
            try db.endSessions(notAllowedBy: definitions, version: version, now: now)
            return version
        }
    }

    package func definitions() async throws -> Definitions { try await database.read { try $0.definitions() } }
}

extension CoordinationAPI.Statement {
    fileprivate var summary: String {
        guard let entry else { return "a statement of a node" }
        if case .removal = self { return "\(entry.kind) `\(entry.name)` is removed" }
        return "\(entry.kind) `\(entry.name)` is defined"
    }
}

extension Database {
    func definitions() throws -> Definitions {
        let nodes = try String.fetchAll(self, sql: "SELECT name FROM nodes").map(NodeName.init(_:))
        var definitions = Definitions(nodes: Set(nodes))
        for envelope in try definitionEnvelopes() {
            definitions.take(try decode(Document.self, envelope.document).statement)
        }
        return definitions
    }

    func definitionEnvelopes() throws -> [Envelope] {
        try String.fetchAll(self, sql: "SELECT envelope FROM definitions ORDER BY kind, name")
            .map { try decode(Envelope.self, $0) }
    }

    fileprivate func keep(_ item: Change.Item, version: UInt64) throws {
        guard let entry = item.statement.entry else { return }
        if case .removal = item.statement {
            return try execute(
                sql: "DELETE FROM definitions WHERE kind = ? AND name = ?", arguments: [entry.kind, entry.name])
        }
        try execute(
            sql: "INSERT OR REPLACE INTO definitions (kind, name, envelope, version) VALUES (?, ?, ?, ?)",
            arguments: [entry.kind, entry.name, try text(item.envelope), Int64(version)])
    }
}
