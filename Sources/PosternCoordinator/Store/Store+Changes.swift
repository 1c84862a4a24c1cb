package import CoordinationAPI
import GRDB
package import Mesh

extension Store {
    /// Makes a change by an admin, all of it or nothing, and ends the sessions that it does not allow.
    package func make(_ request: ChangeRequest, now: Timestamp) async throws -> UInt64 {
        try await write { db in
            let (statements, definitions, sessions) = memory.read { ($0.statements, $0.definitions, $0.sessions) }
            let change = try Change(request, on: statements, now: now)
            try db.expect(statements)
            let version = try db.raiseVersion()
            for item in change.items { try db.keep(item, version: version, now: now) }
            let after = try change.applied(to: definitions)
            let people = change.statements.chain.admins
            let ended = sessions.values.filter { !$0.isAllowed(by: after, people) }
            for session in ended {
                try db.end(
                    session, because: "is ended: its agent, node or person may not have it", version: version, now: now)
            }
            for name in definitions.nodes.subtracting(after.nodes) { try db.remove(name, now: now) }
            return Outcome(
                result: version, version: version,
                changes: ended.map { .session($0.statement.id, nil) } + change.mapChanges,
                checkpoint: try sign(change.statements, version: version, now: now)
            ) { state in
                state.statements = change.statements
                for session in ended { state.sessions[session.statement.id] = nil }
                for name in definitions.nodes.subtracting(after.nodes) {
                    state.nodes[name] = nil
                    state.streams.end(name)
                }
            }
        }
    }
}

extension SessionRecord {
    fileprivate func isAllowed(by definitions: Definitions, _ people: [UserName: SigningPublicKey]) -> Bool {
        if let person = statement.person?.signer, !people.values.contains(person) { return false }
        guard definitions.nodes.contains(statement.node) else { return false }
        do throws(Refusal) { try Sessions.mayRun(statement.agent, on: statement.node, definitions.agents) } catch {
            return false
        }
        return true
    }
}

extension CoordinationAPI.Statement {
    fileprivate var summary: String {
        guard let entry else { return "a statement of a node" }
        if case .removal = self { return "\(entry.kind) `\(entry.name)` is removed" }
        return "\(entry.kind) `\(entry.name)` is defined"
    }
}

extension Entry {
    /// As the log knows it.
    var subject: String { "\(kind)/\(name)" }
}

extension Database {
    func insertAdmin(_ envelope: Envelope) throws {
        try execute(
            sql: "INSERT INTO admins (document, signatures) VALUES (?, ?)",
            arguments: [envelope.document, try text(envelope.signatures)])
    }

    fileprivate func keep(_ item: Change.Item, version: UInt64, now: Timestamp) throws {
        let statement = item.document.statement
        guard let entry = statement.entry else { throw Refusal.forbidden("only a node says this, of itself") }
        if let newest = try newestStatement(about: entry.subject), newest >= item.document.madeAt,
            // The very same text is named as what it is, a replay, below.
            try !isLogged(item.digest)
        {
            throw Refusal.conflict(
                "\(entry.kind) `\(entry.name)` was spoken of at \(newest), which is not before \(item.document.madeAt)")
        }
        try log(statement.summary, version: version, at: now, subject: entry.subject, envelope: item.envelope)
        switch statement {
        case .admin, .removal(.admin): try insertAdmin(item.envelope)
        case .removal(let entry) where StatementSet.Key(statement) == nil:
            try execute(
                sql: "DELETE FROM statements WHERE kind = ? AND name = ?", arguments: [entry.kind, entry.name])
        default:
            guard let key = StatementSet.Key(statement) else { return }
            try execute(
                sql: """
                    INSERT OR REPLACE INTO statements (kind, name, document, signatures, version)
                    VALUES (?, ?, ?, ?, ?)
                    """,
                arguments: [
                    key.kind, key.name, item.envelope.document, try text(item.envelope.signatures), Int64(version),
                ])
        }
    }

    private func isLogged(_ digest: String) throws -> Bool {
        try Bool.fetchOne(self, sql: "SELECT EXISTS (SELECT 1 FROM changes WHERE digest = ?)", arguments: [digest])
            ?? false
    }

    /// Removes a node, whose sessions have ended.
    fileprivate func remove(_ node: NodeName, now: Timestamp) throws {
        let place = try Int64.fetchOne(self, sql: "SELECT place FROM nodes WHERE name = ?", arguments: [node.rawValue])
        try execute(sql: "DELETE FROM nodes WHERE name = ?", arguments: [node.rawValue])
        if let place { try release(place, now: now) }
    }
}
