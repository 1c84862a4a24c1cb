package import CoordinationAPI
import GRDB
package import Mesh

extension Store {
    /// Starts, renews or restates a session, if `Sessions` says so.
    package func start(_ claim: SessionClaim, now: Timestamp) async throws -> SessionResponse {
        try await write { db in
            let facts = try facts(on: claim, in: db, now: now)
            let version: UInt64
            let record: SessionRecord
            switch (try Sessions.decide(claim, facts, now: now), claim.kind) {
            case (.new(let place, let expires), .statement(let statement)):
                version = try db.raiseVersion()
                record = SessionRecord(
                    statement: statement, madeAt: claim.madeAt, envelope: claim.envelope, peer: try db.nextPeer(),
                    offset: place, started: now, expires: expires)
                try db.insert(record)
                try db.log(
                    "session `\(claim.id)` of agent `\(statement.agent)` on node `\(statement.node)`",
                    version: version, at: now, envelope: claim.envelope)
            case (.restated(let expires), .statement(let statement)):
                guard let old = facts.existing else { throw Damage("sessions") }
                version = try db.raiseVersion()
                record = SessionRecord(
                    statement: statement, madeAt: claim.madeAt, envelope: claim.envelope, peer: old.peer,
                    offset: old.offset, started: old.started, expires: expires)
                try db.update(record)
                if old.statement.key != statement.key {
                    try db.log("session `\(claim.id)` has another key", version: version, at: now)
                }
            case (.renewed(let expires), .renewal):
                guard let old = facts.existing else { throw Damage("sessions") }
                // Nothing is told that is so already.
                guard expires > old.expires else {
                    return Outcome(result: old.response(version: try db.meshVersion()))
                }
                version = try db.raiseVersion()
                record = SessionRecord(
                    statement: old.statement, madeAt: old.madeAt, envelope: old.envelope, peer: old.peer,
                    offset: old.offset, started: old.started, expires: expires)
                try db.update(record)
            default: throw Damage("sessions")
            }
            return Outcome(
                result: record.response(version: version), version: version,
                changes: [.session(claim.id, record.content)]
            ) { $0.sessions[claim.id] = record }
        }
    }

    /// Ends a session; only its own node may, if a node is given.
    package func end(_ session: SessionID, by node: NodeName?, now: Timestamp) async throws -> UInt64 {
        try await write { db in
            // To a node, another node's session does not exist: it learns nothing of it.
            guard let record = memory.read({ $0.sessions[session] }), node == nil || node == record.statement.node
            else { throw Refusal.missing("there is no session `\(session)`") }
            let version = try db.raiseVersion()
            let whom = node.map { "node `\($0)`" } ?? "an admin"
            try db.end(record, because: "is ended by \(whom)", version: version, now: now)
            return ended([record], result: version, version: version)
        }
    }

    /// Ends the sessions whose leases ran out, and forgets join tokens long past; nil when no session ended.
    package func sweep(now: Timestamp) async throws -> UInt64? {
        let expired = memory.read { state in
            state.sessions.values.filter { $0.expires <= now && (now >= grace || $0.maximum <= now) }.map(
                \.statement.id)
        }
        let weekAgo = now + .seconds(-7 * 86_400)
        let isTokenLeft = try await database.read { db in
            try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM join_tokens WHERE expires < ?)", arguments: [weekAgo.rawValue])
                ?? false
        }
        guard !expired.isEmpty || isTokenLeft else { return nil }
        return try await write { db in
            try db.execute(sql: "DELETE FROM join_tokens WHERE expires < ?", arguments: [weekAgo.rawValue])
            // One may have been renewed by now.
            let records = memory.read { state in expired.compactMap { state.sessions[$0] } }
                .filter { $0.expires <= now }
            guard !records.isEmpty else { return Outcome(result: nil) }
            let version = try db.raiseVersion()
            for record in records { try db.end(record, because: "expired", version: version, now: now) }
            return ended(records, result: version, version: version)
        }
    }

    private func ended<Result>(_ records: [SessionRecord], result: Result, version: UInt64) -> Outcome<Result> {
        Outcome(result: result, version: version, changes: records.map { .session($0.statement.id, nil) }) { state in
            for record in records { state.sessions[record.statement.id] = nil }
        }
    }

    private func facts(on claim: SessionClaim, in db: Database, now: Timestamp) throws -> SessionFacts {
        let (agents, existing, people) = memory.read { state in
            let existing = state.sessions[claim.id]
            let agent =
                switch claim.kind {
                case .statement(let statement): statement.agent
                case .renewal: existing?.statement.agent
                }
            let agents = (agent?.lineage ?? []).compactMap { state.index.contents.agents[$0]?.definition }
            return (
                Dictionary(agents.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }), existing,
                state.statements.chain.admins
            )
        }
        guard case .statement(let statement) = claim.kind else {
            return SessionFacts(
                agents: agents, existing: existing, people: people, mesh: settings.domain, keyTaken: false,
                sessionsOfNode: 0, free: nil, grace: grace,
                lease: sessionLease)
        }
        return SessionFacts(
            agents: agents, existing: existing, people: people, mesh: settings.domain,
            keyTaken: try db.isTaken(statement.key, except: .session(claim.id)),
            sessionsOfNode: try Int.fetchOne(
                db, sql: "SELECT COUNT(*) FROM sessions WHERE node = ?", arguments: [claim.node.rawValue]) ?? .max,
            free: try db.freePlace(now: now), grace: grace, lease: sessionLease)
    }
}

extension SessionRecord {
    fileprivate func response(version: UInt64) -> SessionResponse {
        SessionResponse(peer: peer, offset: offset, expires: expires, maximum: maximum, version: version)
    }
}

extension Database {
    func end(_ session: SessionRecord, because reason: String, version: UInt64, now: Timestamp) throws {
        let id = session.statement.id
        try execute(sql: "DELETE FROM sessions WHERE id = ?", arguments: [id.rawValue])
        try release(Int64(session.offset.rawValue), now: now)
        try log("session `\(id)` \(reason)", version: version, at: now)
    }

    fileprivate func insert(_ session: SessionRecord) throws {
        try take(session.offset)
        try execute(
            sql: """
                INSERT INTO sessions (id, agent, node, peer, place, key, started, expires, statement)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                session.statement.id.rawValue, session.statement.agent.rawValue, session.statement.node.rawValue,
                Int64(session.peer.rawValue), Int64(session.offset.rawValue), session.statement.key.description,
                session.started.rawValue, session.expires.rawValue, try text(session.envelope),
            ])
    }

    fileprivate func update(_ session: SessionRecord) throws {
        try execute(
            sql: "UPDATE sessions SET key = ?, expires = ?, statement = ? WHERE id = ?",
            arguments: [
                session.statement.key.description, session.expires.rawValue, try text(session.envelope),
                session.statement.id.rawValue,
            ])
    }
}
