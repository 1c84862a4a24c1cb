package import CoordinationAPI
import GRDB
package import Identity
package import Mesh

/// The coordinator's database, the only place with SQL, and the registry in memory that follows it.
///
/// Every change is one transaction that raises the version by one, or nothing at all. It is on disk when the call
/// returns. What a transaction decides, pure functions decide from facts that were verified when they were read.
package struct Store: Sendable {
    let database: DatabasePool
    let memory: Memory
    package let settings: Settings
    private let ca: CertificateAuthority
    private let checkpointPath: String
    /// Until then sessions are not ended by their leases: while the coordinator was away, nobody could renew them.
    let grace: Timestamp
    /// How long a session lives that is not renewed.
    let sessionLease: Duration

    private static let gracePeriod = Duration.seconds(60)

    /// What was fixed when the mesh was made.
    package struct Settings: Sendable {
        package let domain: MeshDomain
        package let url: String
        package let pool: AddressPool
    }

    /// Opens the database of a mesh that was made before, and verifies all that is in it.
    package init(
        opening state: StateDirectory, ca: CertificateAuthority, sessionLease: Duration = SessionLimit.lease,
        now: Timestamp
    ) async throws {
        self.sessionLease = sessionLease
        let checkpoint = try CheckpointFile.read(state.checkpoint, ca: ca)
        database = try Self.open(state.database)
        let stored = try await database.read { try $0.storedRegistry() }
        guard stored.settings.domain == ca.mesh else {
            throw StateError(.read, state.caCertificate, "it is the CA of another mesh, `\(ca.mesh)`")
        }
        let verified = try await Verification(stored: stored, ca: ca, checkpoint: checkpoint).memory()
        (settings, memory, self.ca) = (stored.settings, Memory(verified.state), ca)
        (checkpointPath, grace) = (state.checkpoint, now + Self.gracePeriod)
        if verified.isAhead {
            try await extendCheckpoint(at: stored.version, now: now)
        } else {
            // On a full disk what can be read is served still.
            try? await extendCheckpoint(now: now)
        }
    }

    /// Makes the database of a new mesh, with the first admin's statement.
    static func create(_ state: StateDirectory, settings: Settings, root: Envelope) throws {
        let database = try open(state.database)
        let pool = try text(settings.pool)
        try database.write { db in
            try db.execute(
                sql: "INSERT INTO mesh (id, domain, url, pool, version, next_peer) VALUES (1, ?, ?, ?, 1, 1)",
                arguments: [settings.domain.rawValue, settings.url, pool])
            try db.insertAdmin(root)
        }
        try database.close()
    }

    /// Takes the database as it is, though it is older than the last checkpoint: a new epoch begins.
    package static func restore(
        _ state: StateDirectory, ca: CertificateAuthority, now: Timestamp
    ) async throws -> Checkpoint {
        let last = try CheckpointFile.read(state.checkpoint, ca: ca)
        let database = try open(state.database)
        let stored = try await database.read { try $0.storedRegistry() }
        let memory = try await Verification(stored: stored, ca: ca, checkpoint: last).restored()
        // Seconds since 1970, so that it is higher also than epochs that were lost with a file.
        let epoch = max(last.checkpoint.epoch + 1, UInt64(max(0, now.rawValue / 1000)))
        let checkpoint = memory.statements.checkpoint(epoch: epoch, version: stored.version + 1, now: now)
        let signed = try CheckpointFile.sign(checkpoint, root: last.file.root, ca: ca, now: now)
        let file = try signed.prepare(state.checkpoint)
        try await database.write { db in
            try db.leaveGap(now: now)
            try db.log("an older database was brought back", version: try db.raiseVersion(), at: now)
        }
        try file.commit()
        try database.close()
        return checkpoint
    }

    private static func open(_ path: String) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            // The default of WAL may lose the last transactions with the power: a used token would be good again.
            try db.execute(sql: "PRAGMA synchronous = FULL")
        }
        let database = try DatabasePool(path: path, configuration: configuration)
        try Schema.migrator.migrate(database)
        return database
    }

    package func close() throws { try database.close() }

    // MARK: Changing

    /// What a transaction leaves to do once it is on disk.
    struct Outcome<Result: Sendable> {
        let result: Result
        var version: UInt64? = nil
        var changes: [MapChange] = []
        var checkpoint: SignedCheckpoint? = nil
        var more: (inout Memory.State) -> Void = { _ in }
    }

    /// Runs a transaction, and lets the registry in memory follow before the next one begins.
    func write<Result: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Outcome<Result>
    ) async throws -> Result {
        do {
            return try await database.writeWithoutTransaction { db in
                var file: PrivateFile.Replacement?
                var outcome: Outcome<Result>?
                do {
                    try db.inTransaction(.immediate) {
                        let done = try body(db)
                        file = try done.checkpoint?.prepare(checkpointPath)
                        outcome = done
                        return .commit
                    }
                } catch {
                    file?.cancel()
                    throw error
                }
                guard let outcome else { throw Damage("mesh") }
                // The database is ahead of a file that is not replaced; the next start makes up for that.
                try? file?.commit()
                try follow(outcome)
                return outcome.result
            }
        } catch let error as DatabaseError where error.isOfTheDisk {
            throw Refusal(
                .unwritable, "the coordinator cannot write its database, so nothing was changed: \(error.message ?? "")"
            )
        } catch let error as StateError {
            throw Refusal(.unwritable, "the coordinator cannot write its state, so nothing was changed: \(error)")
        }
    }

    private func follow<Result>(_ outcome: Outcome<Result>) throws {
        guard let version = outcome.version else {
            return memory.change { state in
                if let checkpoint = outcome.checkpoint { state.checkpoint = checkpoint }
                outcome.more(&state)
            }
        }
        try memory.apply(outcome.changes, version: version) { state in
            if let checkpoint = outcome.checkpoint { state.checkpoint = checkpoint }
            outcome.more(&state)
        }
    }

    /// Signs a checkpoint about some statements, which the database holds, or will when the transaction is done.
    func sign(_ statements: StatementSet, version: UInt64, now: Timestamp) throws -> SignedCheckpoint {
        let last = memory.read { $0.checkpoint }
        let checkpoint = statements.checkpoint(epoch: last.checkpoint.epoch, version: version, now: now)
        return try CheckpointFile.sign(checkpoint, root: last.file.root, ca: ca, now: now)
    }

    /// Signs the checkpoint again, so that it lasts, if the database holds what it is about still.
    package func extendCheckpoint(at version: UInt64? = nil, now: Timestamp) async throws {
        try await write { db in
            let (statements, last) = memory.read { ($0.statements, $0.checkpoint) }
            try db.expect(statements)
            return Outcome(
                result: (), checkpoint: try sign(statements, version: version ?? last.checkpoint.version, now: now))
        }
    }
}

/// The database holds what nobody wrote there.
struct Damage: Error, CustomStringConvertible {
    let table: String
    init(_ table: String) { self.table = table }
    var description: String { "the database is damaged: table `\(table)`" }
}

extension DatabaseError {
    /// Whether the disk, and not what was asked of it, is to blame.
    fileprivate var isOfTheDisk: Bool {
        [.SQLITE_FULL, .SQLITE_READONLY, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_BUSY, .SQLITE_PERM].contains(
            resultCode)
    }
}

func text(_ value: some Encodable) throws -> String { String(decoding: try JSON.encode(value), as: UTF8.self) }

func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try JSON.decode(type, from: Array(text.utf8))
}

extension Database {
    func meshVersion() throws -> UInt64 {
        guard let version = try Int64.fetchOne(self, sql: "SELECT version FROM mesh") else { throw Damage("mesh") }
        return UInt64(clamping: version)
    }

    /// The number of the change that this transaction makes.
    func raiseVersion() throws -> UInt64 {
        try execute(sql: "UPDATE mesh SET version = version + 1")
        return try meshVersion()
    }

    /// Adds to the log. A document that is in it already is a replay.
    func log(
        _ what: String, version: UInt64, at now: Timestamp, subject: String? = nil, envelope: Envelope? = nil
    ) throws {
        let digest = envelope.map(Change.digest)
        if let digest,
            try Bool.fetchOne(self, sql: "SELECT EXISTS (SELECT 1 FROM changes WHERE digest = ?)", arguments: [digest])
                == true
        {
            throw Refusal.conflict("\(what): this very document was received before")
        }
        try execute(
            sql: "INSERT INTO changes (version, at, what, subject, digest, envelope) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [Int64(version), now.rawValue, what, subject, digest, try envelope.map(text)])
    }

    /// When the newest statement about a subject was made.
    func newestStatement(about subject: String) throws -> Timestamp? {
        let envelope = try String.fetchOne(
            self,
            sql: "SELECT envelope FROM changes WHERE subject = ? AND envelope IS NOT NULL ORDER BY number DESC LIMIT 1",
            arguments: [subject])
        return try envelope.map {
            try decode(Document.self, try decode(Envelope.self, $0).document).madeAt
        }
    }
}
