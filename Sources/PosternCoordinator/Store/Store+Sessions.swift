package import CoordinationAPI
import GRDB
package import Mesh

extension Store {
    /// Starts or renews a session, if `Sessions` says so.
    package func start(_ claim: SessionClaim, now: Timestamp) async throws -> SessionResponse {
        try await database.write { db in
            let statement = claim.statement
            let decision = try Sessions.decide(claim, try db.facts(on: claim, now: now), now: now)
            let version = try db.raiseVersion()
            try db.log(
                "session `\(statement.id)` of agent `\(statement.agent)` on node `\(statement.node)`", version: version,
                at: now, envelope: claim.envelope)
            switch decision {
            case .new(let place, let expires):
                try db.insert(claim, at: place, started: now, expires: expires)
            case .renewed(let expires):
                try db.execute(
                    sql: "UPDATE sessions SET expires = ?, statement = ? WHERE id = ?",
                    arguments: [expires.rawValue, try text(claim.envelope), statement.id.rawValue])
            }
            return try db.response(to: statement.id, version: version)
        }
    }

    /// Ends a session; only its own node may, if a node is given.
    package func end(_ session: SessionID, by node: NodeName?, now: Timestamp) async throws -> UInt64 {
        try await database.write { db in
            let sql = "SELECT id, node, place FROM sessions WHERE id = ?"
            // To a node, another node's session does not exist: it learns nothing of it.
            guard let row = try Row.fetchOne(db, sql: sql, arguments: [session.rawValue]),
                node == nil || node?.rawValue == row["node"]
            else { throw Refusal.missing("there is no session `\(session)`") }
            let version = try db.raiseVersion()
            try db.end(
                row, because: "is ended by \(node.map { "node `\($0)`" } ?? "an admin")", version: version, now: now)
            return version
        }
    }

    /// Ends the sessions whose leases ran out, and forgets join tokens long past; nil when no session ended.
    package func sweep(now: Timestamp) async throws -> UInt64? {
        try await database.write { db in
            let weekAgo = now + .seconds(-7 * 86_400)
            try db.execute(sql: "DELETE FROM join_tokens WHERE expires < ?", arguments: [weekAgo.rawValue])
            let expired = try Row.fetchAll(
                db, sql: "SELECT id, place FROM sessions WHERE expires <= ?", arguments: [now.rawValue])
            guard !expired.isEmpty else { return nil }
            let version = try db.raiseVersion()
            for row in expired { try db.end(row, because: "expired", version: version, now: now) }
            return version
        }
    }
}

extension Database {
    /// Ends the sessions of agents that were removed or disabled, or may not be on their nodes any more.
    func endSessions(notAllowedBy definitions: Definitions, version: UInt64, now: Timestamp) throws {
        for row in try Row.fetchAll(self, sql: "SELECT id, agent, node, place FROM sessions") {
            let (agent, node) = (try AgentName(row["agent"]), try NodeName(row["node"]))
            do throws(Refusal) { try Sessions.mayRun(agent, on: node, definitions.agents) } catch {
                try end(row, because: "is ended: \(error)", version: version, now: now)
            }
        }
    }

    fileprivate func end(_ row: Row, because reason: String, version: UInt64, now: Timestamp) throws {
        let id: String = row["id"]
        try execute(sql: "DELETE FROM sessions WHERE id = ?", arguments: [id])
        try release(row["place"], now: now)
        try log("session `\(id)` \(reason)", version: version, at: now)
    }

    fileprivate func facts(on claim: SessionClaim, now: Timestamp) throws -> SessionFacts {
        let wanted = claim.statement
        let row = try Row.fetchOne(
            self, sql: "SELECT agent, node, key, started, expires FROM sessions WHERE id = ?",
            arguments: [wanted.id.rawValue])
        return SessionFacts(
            agents: try lineage(of: wanted.agent), existing: try row.map(SessionRecord.init),
            keyTaken: try isTaken(wanted.key, exceptBy: wanted.id),
            sessionsOfNode: try Int.fetchOne(
                self, sql: "SELECT COUNT(*) FROM sessions WHERE node = ?", arguments: [wanted.node.rawValue]) ?? .max,
            free: try freePlace(now: now))
    }

    private func lineage(of agent: AgentName) throws -> [AgentName: AgentDefinition] {
        var agents: [AgentName: AgentDefinition] = [:]
        for name in agent.lineage {
            let envelope = try String.fetchOne(
                self, sql: "SELECT envelope FROM definitions WHERE kind = 'agent' AND name = ?",
                arguments: [name.rawValue])
            guard let envelope else { continue }
            let document = try decode(Document.self, try decode(Envelope.self, envelope).document)
            guard case .agent(let definition) = document.statement else { throw Damage("definitions") }
            agents[name] = definition
        }
        return agents
    }

    fileprivate func insert(
        _ claim: SessionClaim, at place: MeshOffset, started: Timestamp, expires: Timestamp
    ) throws {
        try take(place)
        try execute(
            sql: """
                INSERT INTO sessions (id, agent, node, peer, place, key, started, expires, statement)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                claim.statement.id.rawValue, claim.statement.agent.rawValue, claim.statement.node.rawValue,
                Int64(try nextPeer().rawValue), Int64(place.rawValue), claim.statement.key.description,
                started.rawValue, expires.rawValue, try text(claim.envelope),
            ])
    }

    fileprivate func response(to session: SessionID, version: UInt64) throws -> SessionResponse {
        guard
            let row = try Row.fetchOne(
                self, sql: "SELECT peer, place, started, expires FROM sessions WHERE id = ?",
                arguments: [session.rawValue])
        else { throw Damage("sessions") }
        return SessionResponse(
            peer: try row.peer(), offset: try row.place(), expires: Timestamp(rawValue: row["expires"]),
            maximum: Timestamp(rawValue: row["started"]) + SessionLimit.maximum, version: version)
    }
}

extension SessionRecord {
    fileprivate init(_ row: Row) throws {
        guard let key = WireGuardPublicKey(base64: row["key"]) else { throw Damage("sessions") }
        self.init(
            agent: try AgentName(row["agent"]), node: try NodeName(row["node"]), key: key,
            started: Timestamp(rawValue: row["started"]), expires: Timestamp(rawValue: row["expires"]))
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
