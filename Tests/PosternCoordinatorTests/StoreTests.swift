import CoordinationAPI
import GRDB
import Identity
import Mesh
import Testing

@testable import PosternCoordinator

private let start = Timestamp(rawValue: 1_800_000_000_000)

/// The database alone, at times of the test's choosing.
@Suite struct StoreTests {
    let directory: TemporaryDirectory
    let store: Store
    let ca: CertificateAuthority
    let admin: SigningKey

    init() async throws {
        directory = try TemporaryDirectory(now: start)
        ca = try CertificateAuthority(
            certificatePEM: try PrivateFile.read(directory.state.caCertificate),
            keyPEM: try PrivateFile.read(directory.state.caKey))
        store = try await Store(opening: directory.state, ca: ca, now: start)
        let file = try AdminFile(parsing: Array(try PrivateFile.read(directory.state.adminFile).utf8))
        admin = try SigningKey(pem: file.key)
    }

    @Test func `peers are numbered once, and an address comes back after its quarantine only`() async throws {
        let node = try await enrol("web-1", at: start)
        try await define(.agent(definition("a", on: node)), at: start)
        let first = try await startSession(on: node, at: start)
        let ended = start + .seconds(60)
        _ = try await store.end(first.id, by: nil, now: ended)

        try await giveAllPlaces()
        await #expect(throws: Refusal.self) {
            try await startSession(on: node, at: ended + .seconds(48 * 3600 - 1))
        }
        let second = try await startSession(on: node, at: ended + .seconds(48 * 3600))
        #expect(second.response.offset == first.response.offset)
        #expect(second.response.peer > first.response.peer)
    }

    @Test func `an address that is free is not the one that was just freed`() async throws {
        let node = try await enrol("web-1", at: start)
        try await define(.agent(definition("a", on: node)), at: start)
        let first = try await startSession(on: node, at: start)
        _ = try await store.end(first.id, by: nil, now: start)
        let second = try await startSession(on: node, at: start)
        #expect(second.response.offset != first.response.offset)
        #expect(second.response.peer != first.response.peer)
    }

    @Test func `sessions end with their leases`() async throws {
        let node = try await enrol("web-1", at: start)
        try await define(.agent(definition("a", on: node)), at: start)
        _ = try await startSession(on: node, at: start)
        let version = self.version
        #expect(try await store.sweep(now: start + SessionLimit.lease + .milliseconds(-1)) == nil)
        #expect(try await store.sweep(now: start + SessionLimit.lease) == version + 1)
        #expect(try await store.sweep(now: start + SessionLimit.lease) == nil)
        #expect(store.memory.read { $0.sessions.isEmpty && $0.index.contents.sessions.isEmpty })
    }

    @Test func `a change that fails leaves nothing behind`() async throws {
        let node = try await enrol("web-1", at: start)
        let before = store.memory.read { $0.index.contents }
        let version = self.version
        let good = try signed(.agent(definition("a", on: node)), at: start)
        let bad = try signed(.removal(.service(try ServiceName("nothing"))), at: start)
        for documents in [[good, bad], [bad, good]] {
            await #expect(throws: Refusal.self) {
                try await store.make(ChangeRequest(documents: documents), now: start)
            }
        }
        #expect(store.memory.read { $0.index.contents } == before)
        #expect(try await store.make(ChangeRequest(documents: [good]), now: start) == version + 1)
    }

    @Test func `a certificate that cannot be issued uses up no token`() async throws {
        struct Failure: Error {}
        let claim = try await claim("web-1", at: start)
        let before = version
        await #expect(throws: Failure.self) { try await store.enrol(claim, now: start) { throw Failure() } }
        #expect(version == before)
        _ = try await store.enrol(claim, now: start) { try issue(claim) }
        #expect(version == before + 1)
    }

    @Test func `what was changed is written down for good`() async throws {
        _ = try await enrol("web-1", at: start)
        for sql in ["DELETE FROM changes", "UPDATE changes SET at = 0"] {
            await #expect(throws: (any Error).self) { try await store.database.write { try $0.execute(sql: sql) } }
        }
    }

    @Test func `opening again changes nothing`() async throws {
        _ = try await enrol("web-1", at: start)
        let again = try await Store(opening: directory.state, ca: ca, now: start)
        #expect(again.memory.read { $0.index.contents } == store.memory.read { $0.index.contents })
    }

    // MARK: Steps

    private func claim(_ name: String, at now: Timestamp) async throws -> JoinClaim {
        let (node, secret) = (try TestNode(name), TokenSecret())
        let settings = store.settings
        try await store.add(JoinTokenRecord(node: nil, expires: now + .seconds(60), usedAt: nil), digest: secret.digest)
        let id = SPIFFEID(mesh: settings.domain, role: .node(node.name))
        let document = Document(mesh: settings.domain, madeAt: now, statement: try node.statement())
        let request = JoinRequest(
            secret: secret.text, request: try CertificateRequest.make(with: node.tls, for: id),
            statement: try Envelope(signing: document, with: node.tls.privateKey))
        return try JoinClaim(request, mesh: settings.domain, pool: settings.pool, now: now)
    }

    private func issue(_ claim: JoinClaim) throws -> EncodedCertificate {
        try ca.issueNode(claim.statement.name, request: claim.request, at: start)
    }

    private func enrol(_ name: String, at now: Timestamp) async throws -> NodeName {
        let claim = try await claim(name, at: now)
        _ = try await store.enrol(claim, now: now) { try issue(claim) }
        return claim.statement.name
    }

    private func startSession(
        on node: NodeName, at now: Timestamp
    ) async throws -> (id: SessionID, response: SessionResponse) {
        let (id, key, settings) = (testSession(), SigningKey(), store.settings)
        let statement = SessionStatement(
            id: id, agent: try AgentName("a"), node: node, key: testKey(),
            endpoints: [try #require(Endpoint("192.0.2.7:51900"))])
        let envelope = try Envelope(
            signing: Document(mesh: settings.domain, madeAt: now, statement: .session(statement)), with: key.privateKey)
        let claim = try SessionClaim(
            envelope, node: node, key: key.publicKey, mesh: settings.domain, pool: settings.pool, now: now)
        return (id, try await store.start(claim, now: now))
    }

    private func definition(_ name: String, on node: NodeName) throws -> AgentDefinition {
        AgentDefinition(name: try AgentName(name), owner: try UserName("ann"), nodes: [node])
    }

    private func define(_ statement: CoordinationAPI.Statement, at now: Timestamp) async throws {
        _ = try await store.make(ChangeRequest(documents: [try signed(statement, at: now)]), now: now)
    }

    private func signed(_ statement: CoordinationAPI.Statement, at now: Timestamp) throws -> Envelope {
        try Envelope(
            signing: Document(mesh: ca.mesh, madeAt: now, statement: statement), with: admin.privateKey)
    }

    private var version: UInt64 { store.memory.read { $0.index.version } }

    /// As if every address that was never given had been.
    private func giveAllPlaces() async throws {
        try await store.database.write { db in
            try db.execute(sql: "INSERT INTO places (place) VALUES (?)", arguments: [Int64(MeshOffset.count) - 2])
        }
    }
}
