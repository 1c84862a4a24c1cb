import CoordinationAPI
import GRDB
import Identity
import Mesh
import Synchronization
import Testing

@testable import PosternCoordinator

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What somebody does who can write the database but has no keys: nothing of it is served.
@Suite struct TamperingTests {
    @Test func `a policy that is withheld is missed`() async throws {
        try await refused("added, withheld") { db in
            try db.execute(sql: "DELETE FROM statements WHERE kind = 'policy' AND name = 'forbid.cedar'")
        }
    }

    @Test func `an older statement that is brought back is seen`() async throws {
        try await refused("added, withheld") { db in
            let old = try #require(
                try String.fetchOne(
                    db, sql: "SELECT envelope FROM changes WHERE subject = 'agent/a' ORDER BY number LIMIT 1"))
            let envelope = try decode(Envelope.self, old)
            try db.execute(
                sql: "UPDATE statements SET document = ?, signatures = ? WHERE kind = 'agent' AND name = 'a'",
                arguments: [envelope.document, try text(envelope.signatures)])
        }
    }

    @Test func `an older statement is seen, though the log says that it came last`() async throws {
        try await refused("is older than what was there") { db in
            let old = try #require(
                try Row.fetchOne(db, sql: "SELECT * FROM changes WHERE subject = 'agent/a' ORDER BY number LIMIT 1"))
            let envelope = try decode(Envelope.self, old["envelope"])
            try db.execute(
                sql: "UPDATE statements SET document = ?, signatures = ? WHERE kind = 'agent' AND name = 'a'",
                arguments: [envelope.document, try text(envelope.signatures)])
            try db.execute(sql: "UPDATE mesh SET version = version + 1")
            try db.execute(
                sql: """
                    INSERT INTO changes (version, at, what, subject, digest, envelope)
                    SELECT mesh.version, 1, 'again', 'agent/a', 'x', ? FROM mesh
                    """, arguments: [old["envelope"] as String])
        }
    }

    @Test func `a statement of a stranger is not believed`() async throws {
        let stranger = SigningKey()
        try await refused("agent `b` is not to be believed") { db in
            let envelope = try Self.sign(try agent("b", nodes: []), by: stranger)
            try db.execute(
                sql: "INSERT INTO statements VALUES ('agent', 'b', ?, ?, 1)",
                arguments: [envelope.document, try text(envelope.signatures)])
        }
        try await refused("policy `main.cedar` is not to be believed") { db in
            let envelope = try Self.sign(try policy("permit (principal, action, resource);"), by: stranger)
            try db.execute(
                sql: "UPDATE statements SET document = ?, signatures = ? WHERE name = 'main.cedar'",
                arguments: [envelope.document, try text(envelope.signatures)])
        }
    }

    @Test func `a text that was changed under its signature is not believed`() async throws {
        try await refused("agent `a` is not to be believed: a signature under the document does not fit it") { db in
            try db.execute(
                sql:
                    "UPDATE statements SET document = replace(document, '\"users\":[]', '\"users\":[0]') WHERE name = 'a'"
            )
        }
    }

    @Test func `a statement under another name is not believed`() async throws {
        try await refused("kept under a name that it does not bear") { db in
            try db.execute(sql: "UPDATE statements SET name = 'z' WHERE kind = 'agent' AND name = 'a'")
        }
    }

    @Test func `an admin that nobody made is none`() async throws {
        let eve = SigningKey()
        let statement = AdminStatement(name: try UserName("eve"), key: SigningPublicKey(eve.publicKey))
        try await refused("no admin of that moment stands behind") { db in
            try db.insertAdmin(try Self.sign(.admin(statement), by: eve))
        }
        // In the place of the first one.
        try await refused("no admin of that moment stands behind") { db in
            try db.execute(sql: "DELETE FROM admins")
            try db.insertAdmin(try Self.sign(.admin(statement), by: eve))
        }
    }

    @Test func `an admin who was removed does not come back`() async throws {
        try await refused("added, withheld") { db in
            try db.execute(
                sql: "DELETE FROM admins WHERE document LIKE '%removal%'")
        }
    }

    @Test func `a node's key is the one that the node named`() async throws {
        try await refused("node `web-1` is not to be believed") { db in
            try db.execute(sql: "UPDATE nodes SET key = ?", arguments: [testKey().description])
        }
        try await refused("node `web-1` is not to be believed") { db in
            let mine = try Self.sign(try TestNode("web-1").statement(), by: SigningKey())
            try db.execute(sql: "UPDATE nodes SET statement = ?", arguments: [try text(mine)])
        }
    }

    @Test func `a node's older statement is not its last word`() async throws {
        try await refused("not the newest one") { db in
            let old = try #require(
                try String.fetchOne(
                    db, sql: "SELECT envelope FROM changes WHERE subject = 'node/web-1' ORDER BY number LIMIT 1"))
            guard case .node(let said) = try decode(Document.self, try decode(Envelope.self, old).document).statement
            else { throw Unexpected("no node") }
            try db.execute(
                sql: "UPDATE nodes SET statement = ?, key = ? WHERE name = 'web-1'",
                arguments: [old, said.key.description])
        }
    }

    @Test func `a node that is not there any more is missed`() async throws {
        try await refused("node `web-1` joined, was never removed") { db in
            try db.execute(sql: "DELETE FROM sessions")
            try db.execute(sql: "DELETE FROM nodes WHERE name = 'web-1'")
        }
    }

    @Test func `a node that an admin removed does not come back`() async throws {
        try await refused("added, withheld") { db in
            try db.execute(sql: "DELETE FROM statements WHERE kind = 'removal of node'")
        }
    }

    @Test func `a session is what its node said`() async throws {
        try await refused("is not to be believed") { db in
            try db.execute(sql: "UPDATE sessions SET key = ?", arguments: [testKey().description])
        }
        try await refused("is not to be believed") { db in try db.execute(sql: "UPDATE sessions SET agent = 'b'") }
    }

    @Test func `a whole older database is not served, and is when an operator says so`() async throws {
        let directory = try TemporaryDirectory()
        let copy = directory.state.path + ".copy"
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try await withCoordinator(in: directory) { lab in
            _ = try await lab.change(try agent("a", nodes: [])).read(VersionResponse.self)
        }
        try Self.back(up: directory.state.database, to: copy)
        try await withCoordinator(in: directory) { lab in
            _ = try await lab.change(try agent("b", nodes: [])).read(VersionResponse.self)
        }
        let epoch = Mutex<UInt64>(0)
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: directory.state.database + suffix)
        }
        try FileManager.default.copyItem(atPath: copy, toPath: directory.state.database)
        let error = await #expect(throws: Tampering.self) { try await withCoordinator(in: directory) { _ in } }
        #expect(error?.description.contains("an older copy was put back") == true)
        let restored = try await Restoring.restore(directory.state, now: systemTime())
        epoch.withLock { $0 = restored.epoch }
        #expect(restored.epoch > 1)
        try await withCoordinator(in: directory) { lab in
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect(registry.agents.map(\.name.rawValue) == ["a"])
            // Numbers and addresses that were given after the copy was made are not given again.
            let node = try await lab.join("web-1")
            var stream = try await lab.listen(node, "?epoch=1&version=\(registry.version)")
            let event = try await stream.next()
            guard case .whole(let map) = event.content else { throw Unexpected("\(event)") }
            #expect(try lab.checkpoint(event).epoch == epoch.withLock { $0 })
            #expect(map.nodes.allSatisfy { $0.peer.rawValue > 1 << 20 && $0.offset.rawValue > 4096 })
        }
    }

    @Test func `a database that was tampered with is not restored`() async throws {
        let directory = try await Self.mesh()
        try Self.tamper(directory) { db in
            try db.execute(sql: "UPDATE nodes SET key = ?", arguments: [testKey().description])
        }
        await #expect(throws: Tampering.self) {
            try await Restoring.restore(directory.state, now: systemTime())
        }
    }

    @Test func `a change whose checkpoint was not written any more is taken up at the next start`() async throws {
        let directory = try await Self.mesh()
        let old = try String(contentsOfFile: directory.state.checkpoint, encoding: .utf8)
        try await withCoordinator(in: directory) { lab in
            let node = try NodeName("web-1")
            _ = try await lab.change(try agent("a", nodes: [node], disabled: true)).read(VersionResponse.self)
            _ = try await lab.change(.removal(.policy(try PolicyName("forbid.cedar")))).read(VersionResponse.self)
            _ = try await lab.change(try agent("new", nodes: [])).read(VersionResponse.self)
            _ = try await lab.change(.removal(.node(node))).read(VersionResponse.self)
        }
        try old.write(toFile: directory.state.checkpoint, atomically: true, encoding: .utf8)
        try await withCoordinator(in: directory) { lab in
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect(registry.agents.map(\.name.rawValue) == ["a", "new"])
            #expect(registry.policies.map(\.name.rawValue) == ["main.cedar"])
            #expect(registry.nodes.isEmpty)
        }
        try await withCoordinator(in: directory) { lab in _ = try await lab.version() }
        // But not a change that somebody else put there.
        try old.write(toFile: directory.state.checkpoint, atomically: true, encoding: .utf8)
        try Self.tamper(directory) { db in
            try db.execute(sql: "DELETE FROM statements WHERE name = 'main.cedar'")
        }
        await #expect(throws: Tampering.self) { try await withCoordinator(in: directory) { _ in } }
    }

    @Test func `a checkpoint that the CA did not sign is none`() async throws {
        let (one, two) = (try TemporaryDirectory(), try TemporaryDirectory())
        try FileManager.default.removeItem(atPath: one.state.checkpoint)
        await #expect(throws: StateError.self) { try await withCoordinator(in: one) { _ in } }
        try FileManager.default.copyItem(atPath: two.state.checkpoint, toPath: one.state.checkpoint)
        let error = await #expect(throws: StateError.self) { try await withCoordinator(in: one) { _ in } }
        #expect(error?.description.contains("not a checkpoint that this mesh's CA signed") == true)
    }

    @Test func `what is written behind a coordinator's back is neither served nor signed`() async throws {
        let directory = try TemporaryDirectory()
        let stranger = SigningKey()
        try await withCoordinator(in: directory) { lab in
            _ = try await lab.change(try agent("a", nodes: [])).read(VersionResponse.self)
            try Self.tamper(directory) { db in
                let envelope = try Self.sign(try agent("b", nodes: []), by: stranger)
                try db.execute(
                    sql: "INSERT INTO statements VALUES ('agent', 'b', ?, ?, 1)",
                    arguments: [envelope.document, try text(envelope.signatures)])
            }
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect(registry.agents.map(\.name.rawValue) == ["a"])
            try expect(try await lab.change(try agent("c", nodes: [])), 507, "unavailable", "behind its back")
            #expect(try await lab.version() == registry.version)
        }
    }

    // MARK: Steps

    /// A mesh with something of each kind in it.
    private static func mesh() async throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try await withCoordinator(in: directory) { lab in
            let (node, gone) = (try await lab.join("web-1"), try await lab.join("gone"))
            let bob = SigningKey()
            _ = try await lab.change(try lab.admin("bob", bob), .removal(.node(gone.name))).read(VersionResponse.self)
            _ = try await lab.change(.removal(.admin(try UserName("bob")))).read(VersionResponse.self)
            _ = try await lab.change(try agent("a", nodes: [])).read(VersionResponse.self)
            _ = try await lab.change(
                try agent("a", nodes: [node.name]), try service("db", on: "web-1"),
                try policy("permit (principal, action, resource);"),
                try policy("forbid (principal, action, resource == Service::\"db\");", name: "forbid.cedar")
            ).read(VersionResponse.self)
            let moved = try lab.signed(
                try node.statement(endpoint: "198.51.100.1:51820"), by: node.tls, after: .milliseconds(1))
            _ = try await lab.nodeClient(node).post("/v1/node", NodeRequest(statement: moved)).read(
                VersionResponse.self)
            _ = try await lab.nodeClient(node).post("/v1/sessions", try node.session(of: "a", in: lab)).read(
                SessionResponse.self)
        }
        return directory
    }

    private static func back(up path: String, to copy: String) throws {
        let (source, target) = (try DatabaseQueue(path: path), try DatabaseQueue(path: copy))
        try source.backup(to: target)
        try source.close()
        try target.close()
    }

    private static func sign(_ statement: CoordinationAPI.Statement, by key: SigningKey) throws -> Envelope {
        try Envelope(
            signing: Document(mesh: try MeshDomain("acme.example"), madeAt: systemTime(), statement: statement),
            with: key.privateKey)
    }

    private static func tamper(_ directory: TemporaryDirectory, _ change: (Database) throws -> Void) throws {
        let database = try DatabaseQueue(path: directory.state.database)
        try database.write { db in
            try db.execute(sql: "DROP TRIGGER changes_are_never_changed; DROP TRIGGER changes_are_never_deleted")
            try change(db)
        }
        try database.close()
    }

    private func refused(_ words: String, _ change: (Database) throws -> Void) async throws {
        let directory = try await Self.mesh()
        try await withCoordinator(in: directory) { lab in _ = try await lab.version() }
        try Self.tamper(directory, change)
        let error = await #expect(throws: Tampering.self) { try await withCoordinator(in: directory) { _ in } }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("the database is not as this coordinator left it") && text.contains(words), "\(text)")
    }
}
