import CoordinationAPI
import GRDB
package import Identity
package import Mesh

extension Store {
    /// Keeps a new join token.
    package func add(_ token: JoinTokenRecord, digest: TokenDigest) async throws {
        try await database.write { db in
            try db.execute(
                sql: "INSERT INTO join_tokens (digest, node, expires) VALUES (?, ?, ?)",
                arguments: [digest.text, token.node?.rawValue, token.expires.rawValue])
        }
    }

    package func knows(_ digest: TokenDigest) async throws -> Bool {
        try await database.read { try $0.token(digest) } != nil
    }

    /// Makes a node of a machine, and uses up its token, if `Enrolment` says so.
    package func enrol(
        _ claim: JoinClaim, now: Timestamp, issue: @escaping @Sendable () throws -> EncodedCertificate
    ) async throws -> EncodedCertificate {
        try await database.write { db in
            let place = try Enrolment.decide(claim, try db.facts(on: claim, now: now), now: now)
            let certificate = try issue()
            let (statement, peer) = (claim.statement, try db.nextPeer())
            try db.execute(
                sql: "UPDATE join_tokens SET used_at = ? WHERE digest = ?",
                arguments: [now.rawValue, claim.token.text])
            try db.take(place)
            try db.execute(
                sql: """
                    INSERT INTO nodes (name, peer, place, key, certificate, statement) VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    statement.name.rawValue, Int64(peer.rawValue), Int64(place.rawValue), statement.key.description,
                    certificate.pem, try text(claim.envelope),
                ])
            try db.log(
                "node `\(statement.name)` joins", version: try db.raiseVersion(), at: now, envelope: claim.envelope)
            return certificate
        }
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

    fileprivate func facts(on claim: JoinClaim, now: Timestamp) throws -> JoinFacts {
        JoinFacts(
            token: try token(claim.token),
            nameTaken: try Bool.fetchOne(
                self, sql: "SELECT EXISTS (SELECT 1 FROM nodes WHERE name = ?)",
                arguments: [claim.statement.name.rawValue]) ?? true,
            keyTaken: try isTaken(claim.statement.key), free: try freePlace(now: now))
    }
}
