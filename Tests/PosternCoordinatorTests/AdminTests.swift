import CoordinationAPI
import Crypto
import Identity
import Mesh
import Testing

/// Several admins, and what becomes of one who is removed.
@Suite struct AdminTests {
    @Test func `an admin makes another, who rules like him`() async throws {
        try await withCoordinator { lab in
            let bob = SigningKey()
            _ = try await lab.change(try lab.admin("bob", bob)).read(VersionResponse.self)
            let certificate = try await lab.certificate("bob", bob)
            let client = try lab.client(certificate: certificate, key: bob.pem)
            let change = ChangeRequest(documents: [try lab.signed(try agent("a", nodes: []), by: bob)])
            _ = try await client.post("/v1/changes", change).read(VersionResponse.self)
            let registry: Registry = try await client.get("/v1/registry").read()
            #expect(registry.admins.map(\.name.rawValue) == ["ann", "bob"])
            #expect(registry.admins.last?.key == Fingerprint(of: bob.publicKey))
            #expect(registry.agents.map(\.name.rawValue) == ["a"])
        }
    }

    @Test func `a removed admin signs nothing, and is let in no more`() async throws {
        try await withCoordinator { lab in
            let bob = SigningKey()
            _ = try await lab.change(try lab.admin("bob", bob), try agent("a", nodes: [])).read(VersionResponse.self)
            let certificate = try await lab.certificate("bob", bob)
            let client = try lab.client(certificate: certificate, key: bob.pem)
            let removal = try lab.signed(.removal(.admin(try UserName("ann"))), by: bob)
            // What bears his signature alone must be signed again in the same change.
            try expect(
                try await client.post("/v1/changes", ChangeRequest(documents: [removal])), 400, "invalid", "agent `a`")
            let again = try lab.signed(try agent("a", nodes: []), by: bob, after: .milliseconds(1))
            _ = try await client.post("/v1/changes", ChangeRequest(documents: [removal, again])).read(
                VersionResponse.self)
            try expect(try await lab.adminClient().get("/v1/registry"), 401, "unauthenticated")
            let late = ChangeRequest(documents: [try lab.signed(try agent("b", nodes: []))])
            try expect(try await client.post("/v1/changes", late), 403, "forbidden")
            let back = try lab.signed(try lab.admin("ann", lab.adminKey), by: bob, after: .milliseconds(9))
            try expect(
                try await client.post("/v1/changes", ChangeRequest(documents: [back])), 409, "conflict", "removed")
            let statements: StatementsResponse = try await client.get("/v1/statements").read()
            #expect(statements.statements.count == 4)
        }
    }

    @Test func `a node hears of admins by the whole chain`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            var stream = try await lab.listen(node)
            _ = try await stream.next()
            let bob = SigningKey()
            _ = try await lab.change(try lab.admin("bob", bob)).read(VersionResponse.self)
            let event = try await stream.next()
            guard case .changes(let changes) = event.content else { throw Unexpected("\(event)") }
            let chain = try AdminChain(
                replaying: changes.definitions, root: SigningPublicKey(lab.adminKey.publicKey), of: lab.mesh)
            #expect(chain.admins[try UserName("bob")] == SigningPublicKey(bob.publicKey))
            let checkpoint = try lab.checkpoint(event)
            #expect(
                checkpoint.admins
                    == Fingerprint(ofStatements: chain.links.map { ($0.document.statement, $0.envelope) }))
            #expect(checkpoint.version == event.version)
        }
    }

    @Test func `a certificate is for the key in the statement only`() async throws {
        try await withCoordinator { lab in
            let bob = SigningKey()
            _ = try await lab.change(try lab.admin("bob", bob)).read(VersionResponse.self)
            let id = SPIFFEID(mesh: lab.mesh, role: .admin(try UserName("bob")))
            let request = AdminCertificateRequest(
                name: try UserName("bob"), request: try CertificateRequest.make(with: SigningKey(), for: id))
            try expect(try await lab.adminClient().post("/v1/admin-certificates", request), 403, "forbidden")
            let nobody = AdminCertificateRequest(name: try UserName("eve"), request: request.request)
            try expect(try await lab.adminClient().post("/v1/admin-certificates", nobody), 404, "missing")
            let node = try await lab.join("web-1")
            try expect(try await lab.nodeClient(node).post("/v1/admin-certificates", request), 403, "forbidden")
        }
    }

    @Test func `of two statements the newer counts, whichever comes first`() async throws {
        try await withCoordinator { lab in
            let client = try lab.adminClient()
            let older = try lab.signed(try agent("a", nodes: [], disabled: true))
            let newer = try lab.signed(try agent("a", nodes: []), after: .seconds(5))
            _ = try await client.post("/v1/changes", ChangeRequest(documents: [newer])).read(VersionResponse.self)
            try expect(
                try await client.post("/v1/changes", ChangeRequest(documents: [older])), 409, "conflict", "not before")
            // A removal is remembered too.
            let removal = try lab.signed(.removal(.agent(try AgentName("a"))), after: .seconds(60))
            _ = try await client.post("/v1/changes", ChangeRequest(documents: [removal])).read(VersionResponse.self)
            let between = try lab.signed(try agent("a", nodes: []), after: .seconds(30))
            try expect(
                try await client.post("/v1/changes", ChangeRequest(documents: [between])), 409, "conflict", "not before"
            )
        }
    }
}

extension Lab {
    func admin(_ name: String, _ key: SigningKey) throws -> Statement {
        .admin(AdminStatement(name: try UserName(name), key: SigningPublicKey(key.publicKey)))
    }

    func certificate(_ name: String, _ key: SigningKey) async throws -> String {
        let id = SPIFFEID(mesh: mesh, role: .admin(try UserName(name)))
        let request = AdminCertificateRequest(
            name: try UserName(name), request: try CertificateRequest.make(with: key, for: id))
        return try await adminClient().post("/v1/admin-certificates", request).read(CertificateResponse.self)
            .certificate
    }
}
