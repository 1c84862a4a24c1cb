import CoordinationAPI
import GRDB
package import Identity
package import Mesh

/// The coordinator's database: the only place with SQL.
///
/// Every change is one transaction that raises the version by one, or nothing at all. It is on disk when the call
/// returns. What a transaction decides, pure functions decide from facts that were read in it.
package struct Store: Sendable {
    let database: DatabasePool

    /// What was fixed when the mesh was made.
    package struct Settings: Sendable {
        package let domain: MeshDomain
        package let url: String
        package let pool: AddressPool
    }

    /// An admin, whose key signs changes.
    package struct Admin: Sendable {
        package let name: UserName
        package let certificate: EncodedCertificate
        /// In base64, uncompressed.
        package let key: String
    }

    /// Opens a database that was made before, and brings its tables up to date.
    package init(opening path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { db in
            // The default of WAL may lose the last transactions with the power: a used token would be good again.
            try db.execute(sql: "PRAGMA synchronous = FULL")
        }
        database = try DatabasePool(path: path, configuration: configuration)
        try Schema.migrator.migrate(database)
    }

    /// Makes the database of a new mesh.
    package init(creating path: String, settings: Settings, admin: Admin) throws {
        try self.init(opening: path)
        let pool = try text(settings.pool)
        try database.write { db in
            try db.execute(
                sql: "INSERT INTO mesh (id, domain, url, pool, version, next_peer) VALUES (1, ?, ?, ?, 1, 1)",
                arguments: [settings.domain.rawValue, settings.url, pool])
            try db.execute(
                sql: "INSERT INTO admins (name, key, certificate) VALUES (?, ?, ?)",
                arguments: [admin.name.rawValue, admin.key, admin.certificate.pem])
        }
    }

    package func close() throws { try database.close() }

    // MARK: Reading

    package func settings() async throws -> Settings {
        try await database.read { db in
            guard let row = try Row.fetchOne(db, sql: "SELECT domain, url, pool FROM mesh") else {
                throw Damage("mesh")
            }
            return Settings(
                domain: try MeshDomain(row["domain"]), url: row["url"], pool: try decode(AddressPool.self, row["pool"]))
        }
    }

    package func version() async throws -> UInt64 { try await database.read { try $0.meshVersion() } }

    /// In the order in which they were made: the first admin first.
    package func admins() async throws -> [Admin] {
        try await database.read { db in
            try Row.fetchAll(db, sql: "SELECT name, key, certificate FROM admins ORDER BY number").map { row in
                Admin(
                    name: try UserName(row["name"]), certificate: try EncodedCertificate(pem: row["certificate"]),
                    key: row["key"])
            }
        }
    }

    package func certificate(of node: NodeName) async throws -> EncodedCertificate? {
        try await database.read { db in
            try String.fetchOne(db, sql: "SELECT certificate FROM nodes WHERE name = ?", arguments: [node.rawValue])
        }.map { try EncodedCertificate(pem: $0) }
    }
}

/// The database holds what nobody wrote there.
struct Damage: Error, CustomStringConvertible {
    let table: String
    init(_ table: String) { self.table = table }
    var description: String { "the database is damaged: table `\(table)`" }
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
    func log(_ what: String, version: UInt64, at now: Timestamp, envelope: Envelope? = nil) throws {
        let digest = envelope.map(Change.digest)
        if let digest,
            try Bool.fetchOne(self, sql: "SELECT EXISTS (SELECT 1 FROM changes WHERE digest = ?)", arguments: [digest])
                == true
        {
            throw Refusal.conflict("\(what): this very document was received before")
        }
        try execute(
            sql: "INSERT INTO changes (version, at, what, digest, envelope) VALUES (?, ?, ?, ?, ?)",
            arguments: [Int64(version), now.rawValue, what, digest, try envelope.map(text)])
    }
}
