import CoordinationAPI
import GRDB
package import Identity
package import Mesh

extension Store {
    /// Keeps a new join token.
    package func add(_ token: JoinTokenRecord, digest: TokenDigest) async throws {
        try await write { db in
            try db.execute(
                sql: "INSERT INTO join_tokens (digest, node, expires) VALUES (?, ?, ?)",
                arguments: [digest.text, token.node?.rawValue, token.expires.rawValue])
            return Outcome(result: ())
        }
    }

    package func knows(_ digest: TokenDigest) async throws -> Bool {
        try await database.read { try $0.token(digest) } != nil
    }

    /// Makes a node of a machine, and uses up its token, if `Enrolment` says so.
    package func enrol(
        _ claim: JoinClaim, now: Timestamp, issue: @escaping @Sendable () throws -> EncodedCertificate
    ) async throws -> EncodedCertificate {
        try await write { db in
            let name = claim.statement.name
            let place = try Enrolment.decide(claim, try facts(on: claim, in: db, now: now), now: now)
            if let newest = try db.newestStatement(about: Entry.node(name).subject), newest >= claim.said.madeAt {
                throw Refusal.conflict(
                    "node `\(name)` was spoken of at \(newest), which is not before \(claim.said.madeAt)")
            }
            let certificate = try issue()
            let record = NodeRecord(
                statement: claim.statement, madeAt: claim.said.madeAt, envelope: claim.envelope,
                peer: try db.nextPeer(), offset: place, certificate: certificate, previous: nil)
            try db.execute(
                sql: "UPDATE join_tokens SET used_at = ? WHERE digest = ?",
                arguments: [now.rawValue, claim.token.text])
            try db.take(place)
            try db.insert(record)
            let version = try db.raiseVersion()
            try db.log(
                "node `\(name)` joins", version: version, at: now, subject: Entry.node(name).subject,
                envelope: claim.envelope)
            return Outcome(
                result: certificate, version: version, changes: [.node(name, record.entry)]
            ) { state in
                state.nodes[name] = record
                state.streams.noteJoin(of: name, at: version)
            }
        }
    }

    /// What a node says of itself is another: its WireGuard key, its places.
    package func update(_ saying: NodeSaying, of name: NodeName, now: Timestamp) async throws -> UInt64 {
        try await write { db in
            let old = try record(of: name)
            try Enrolment.check(saying, after: old, keyTaken: try db.isTaken(saying.statement.key, except: .node(name)))
            let record = NodeRecord(
                statement: saying.statement, madeAt: saying.madeAt, envelope: saying.envelope, peer: old.peer,
                offset: old.offset, certificate: old.certificate, previous: old.previous)
            return try replace(record, in: db, "node `\(name)` has another key or place", now: now)
        }
    }

    /// A node has another certificate, and another statement where its key is another.
    package func renew(
        _ certificate: EncodedCertificate, of name: NodeName, saying: NodeSaying?, now: Timestamp
    ) async throws -> UInt64 {
        try await write { db in
            let old = try record(of: name)
            if let saying {
                try Enrolment.check(saying, after: old, keyTaken: saying.statement.key != old.statement.key)
                guard !memory.read({ $0.sessions.values.contains { $0.statement.node == name } }) else {
                    throw Refusal.conflict(
                        "node `\(name)` has sessions, whose statements its old key signed: end them, or keep the key")
                }
            }
            let record = NodeRecord(
                statement: saying?.statement ?? old.statement, madeAt: saying?.madeAt ?? old.madeAt,
                envelope: saying?.envelope ?? old.envelope, peer: old.peer, offset: old.offset,
                certificate: certificate, previous: old.certificate)
            return try replace(
                record, in: db, "node `\(name)` has another certificate", isNewStatement: saying != nil, now: now)
        }
    }

    private func record(of name: NodeName) throws(Refusal) -> NodeRecord {
        guard let record = memory.read({ $0.nodes[name] }) else { throw .missing("there is no node `\(name)`") }
        return record
    }

    private func replace(
        _ record: NodeRecord, in db: Database, _ what: String, isNewStatement: Bool = true, now: Timestamp
    ) throws -> Outcome<UInt64> {
        let (name, version) = (record.statement.name, try db.raiseVersion())
        try db.update(record)
        try db.log(
            what, version: version, at: now, subject: isNewStatement ? Entry.node(name).subject : nil,
            envelope: isNewStatement ? record.envelope : nil)
        return Outcome(result: version, version: version, changes: [.node(name, record.entry)]) { state in
            state.nodes[name] = record
        }
    }

    private func facts(on claim: JoinClaim, in db: Database, now: Timestamp) throws -> JoinFacts {
        JoinFacts(
            token: try db.token(claim.token), nameTaken: memory.read { $0.nodes[claim.statement.name] != nil },
            keyTaken: try db.isTaken(claim.statement.key), free: try db.freePlace(now: now))
    }
}

extension Database {
    fileprivate func token(_ digest: TokenDigest) throws -> JoinTokenRecord? {
        try Row.fetchOne(
            self, sql: "SELECT node, expires, used_at FROM join_tokens WHERE digest = ?", arguments: [digest.text]
        ).map { row in
            JoinTokenRecord(
                node: try (row["node"] as String?).map(NodeName.init(_:)), expires: Timestamp(rawValue: row["expires"]),
                usedAt: (row["used_at"] as Int64?).map(Timestamp.init(rawValue:)))
        }
    }

    fileprivate func insert(_ record: NodeRecord) throws {
        try execute(
            sql: "INSERT INTO nodes (name, peer, place, key, certificate, statement) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                record.statement.name.rawValue, Int64(record.peer.rawValue), Int64(record.offset.rawValue),
                record.statement.key.description, record.certificate.pem, try text(record.envelope),
            ])
    }

    fileprivate func update(_ record: NodeRecord) throws {
        try execute(
            sql: "UPDATE nodes SET key = ?, certificate = ?, previous_certificate = ?, statement = ? WHERE name = ?",
            arguments: [
                record.statement.key.description, record.certificate.pem, record.previous?.pem,
                try text(record.envelope), record.statement.name.rawValue,
            ])
    }
}
