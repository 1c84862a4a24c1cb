import CoordinationAPI
import Crypto
import Identity
import Mesh
import Testing

/// A machine becomes a node, or it does not and nothing changed.
@Suite struct JoinTests {
    @Test func `a machine with a token becomes a node`() async throws {
        try await withCoordinator { lab in
            let (node, token) = (try TestNode("web-1"), try await lab.token())
            let response: JoinResponse = try await lab.client().post(
                "/v1/join", try await node.request(token.secret, in: lab)
            ).read()
            let certificate = try EncodedCertificate(pem: response.certificate)
            let verified = try await lab.ca.anchor.verify(certificate, for: .client, at: lab.clock.now)
            #expect(verified.id == SPIFFEID(mesh: lab.mesh, role: .node(node.name)))
            #expect(verified.publicKey.x963Representation == node.tls.publicKey.x963Representation)

            // The token told the machine beforehand whom to believe.
            let admin = try P256.Signing.PublicKey(x963Representation: try #require(decodeBase64(response.adminKey)))
            #expect(Fingerprint(of: admin) == token.admin)
            #expect(Fingerprint(of: try lab.ca.anchor.certificate.der) == token.ca)
            #expect((token.mesh, token.url, token.node) == (lab.mesh, lab.admin.url, nil))
        }
    }

    @Test func `a token is good once`() async throws {
        try await withCoordinator { lab in
            let token = try await lab.token()
            let client = try lab.client()
            _ = try await client.post("/v1/join", try await TestNode("web-1").request(token.secret, in: lab)).read(
                JoinResponse.self)
            let version = try await lab.version()
            for name in ["web-1", "web-2"] {
                let answer = try await client.post("/v1/join", try await TestNode(name).request(token.secret, in: lab))
                try expect(answer, 401, "unauthenticated", "used already")
            }
            #expect(try await lab.version() == version)
        }
    }

    @Test func `of many that use one token at once, one joins`() async throws {
        try await withCoordinator { lab in
            let (token, client) = (try await lab.token(), try lab.client())
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    let request = try await TestNode("web-\(number)").request(token.secret, in: lab)
                    group.addTask { try await client.post("/v1/join", request).status }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200] + Array(repeating: 401, count: 7))
            #expect(try await lab.adminClient().get("/v1/registry").read(Registry.self).nodes.count == 1)
        }
    }

    @Test func `a token expires`() async throws {
        try await withCoordinator { lab in
            let token = try await lab.token(lifetime: 600)
            lab.clock.advance(by: .seconds(600))
            let answer = try await lab.client().post(
                "/v1/join", try await TestNode("web-1").request(token.secret, in: lab))
            try expect(answer, 401, "unauthenticated", "expired")
        }
    }

    @Test func `a token for one name gives no other, and stays good for its own`() async throws {
        try await withCoordinator { lab in
            let (token, client) = (try await lab.token(for: try NodeName("web-1")), try lab.client())
            let wrong = try await client.post("/v1/join", try await TestNode("web-2").request(token.secret, in: lab))
            try expect(wrong, 403, "forbidden", "`web-2`")
            let right = try await client.post("/v1/join", try await TestNode("web-1").request(token.secret, in: lab))
            #expect(right.status == 200)
        }
    }

    @Test(arguments: ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    func `a secret that nobody gave is refused`(secret: String) async throws {
        try await withCoordinator { lab in
            _ = try await lab.token()
            let answer = try await lab.client().post("/v1/join", try await TestNode("web-1").request(secret, in: lab))
            try expect(answer, 401, "unauthenticated", "not known")
        }
    }

    @Test func `a name or a WireGuard key that is taken is refused, and the token stays good`() async throws {
        try await withCoordinator { lab in
            let first = try await lab.join("web-1")
            let (token, client) = (try await lab.token(), try lab.client())
            let twin = try await client.post("/v1/join", try await TestNode("web-1").request(token.secret, in: lab))
            try expect(twin, 409, "conflict", "`web-1`")
            let node = try TestNode("web-2")
            let sameKey = try await node.request(
                token.secret, in: lab, statement: try node.statement(key: first.key), device: first.device)
            try expect(try await client.post("/v1/join", sameKey), 409, "conflict", "WireGuard key")
            #expect(try await client.post("/v1/join", try await node.request(token.secret, in: lab)).status == 200)
        }
    }

    @Test func `who does not hold the keys does not join`() async throws {
        try await withCoordinator { lab in
            let (node, other, token) = (try TestNode("web-1"), try TestNode("web-1"), try await lab.token())
            let good = try await node.request(token.secret, in: lab)
            let stolen = try await other.request(token.secret, in: lab)
            let bad = [
                JoinRequest(secret: token.secret, request: good.request, statement: stolen.statement),
                JoinRequest(secret: token.secret, request: stolen.request, statement: good.statement),
                JoinRequest(secret: token.secret, request: lab.admin.ca, statement: good.statement),
                JoinRequest(
                    secret: token.secret, request: good.request,
                    statement: Envelope(
                        document: good.statement.document.replacing("192.0.2.7", with: "192.0.2.8"),
                        signatures: good.statement.signatures)),
                JoinRequest(
                    secret: token.secret, request: good.request,
                    statement: try lab.signed(try agent("a", nodes: []), by: node.tls)),
                JoinRequest(
                    secret: token.secret, request: good.request,
                    statement: try lab.signed(try node.statement(), by: node.tls, after: .seconds(-700))),
                JoinRequest(
                    secret: token.secret, request: good.request,
                    statement: try Envelope(
                        signing: Document(
                            mesh: try MeshDomain("other.example"), madeAt: lab.clock.now,
                            statement: try node.statement()), with: node.tls.privateKey)),
            ]
            let client = try lab.client()
            for request in bad { try expect(try await client.post("/v1/join", request), 400, "invalid") }
            #expect(try await client.post("/v1/join", good).status == 200)
        }
    }

    @Test(arguments: [
        "0.0.0.0:51820", "0.1.2.3:51820", "127.0.0.1:51820", "224.0.0.1:51820", "255.255.255.255:51820",
        "240.0.0.1:51820",
    ])
    func `an endpoint where nobody can answer is refused`(endpoint: String) async throws {
        try await withCoordinator { lab in
            let (node, token) = (try TestNode("web-1"), try await lab.token())
            let request = try await node.request(
                token.secret, in: lab, statement: try node.statement(endpoint: endpoint))
            try expect(try await lab.client().post("/v1/join", request), 400, "invalid", endpoint)
        }
    }

    @Test func `an endpoint inside the mesh's own pool is refused`() async throws {
        try await withCoordinator { lab in
            let first = try lab.nodeClient(try await lab.join("web-1"))
            let pool = try await first.map().pool
            let inside = pool.ipv4(at: try #require(MeshOffset(rawValue: 77)))
            let (node, token) = (try TestNode("web-2"), try await lab.token())
            let request = try await node.request(
                token.secret, in: lab, statement: try node.statement(endpoint: "\(inside):1"))
            try expect(try await lab.client().post("/v1/join", request), 400, "invalid", "pool")
        }
    }

    @Test func `a token's lifetime has bounds`() async throws {
        try await withCoordinator { lab in
            for lifetime in [Int.min, -1, 0, 9, 86_401, Int.max] {
                let request = JoinTokenRequest(node: nil, lifetimeSeconds: lifetime)
                try expect(try await lab.adminClient().post("/v1/join-tokens", request), 400, "invalid")
            }
        }
    }
}
