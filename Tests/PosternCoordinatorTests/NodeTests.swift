import CoordinationAPI
import Crypto
import Identity
import Mesh
import PosternCoordinator
import Testing

/// What becomes of a node after it joined: other keys, other places, other certificates.
@Suite struct NodeTests {
    @Test func `who joins proves both of its keys`() async throws {
        try await withCoordinator { lab in
            let device = Curve25519.KeyAgreement.PrivateKey()
            var node = try TestNode("web-1")
            let key = publicKey(of: device)
            let proof = try await lab.prove(device, tls: node.tls)
            let token = try await lab.token()
            let request = try await node.request(
                token.secret, in: lab, statement: node.statement(key: key), proof: proof)
            let answer: JoinResponse = try await lab.client().post("/v1/join", request).read()
            node.certificate = answer.certificate
            #expect(try await lab.nodeClient(node).get("/v1/confirmations?version=0").status == 200)
        }
    }

    @Test func `a proof of another key, or for another TLS key, or used before, lets nobody join`() async throws {
        try await withCoordinator { lab in
            let (device, token) = (Curve25519.KeyAgreement.PrivateKey(), try await lab.token())
            let node = try TestNode("web-1")
            let statement = try node.statement(key: publicKey(of: device))
            let other = Curve25519.KeyAgreement.PrivateKey()
            let bad = [
                try await lab.prove(other, for: publicKey(of: device), tls: node.tls),
                try await lab.prove(other, tls: node.tls),
                try await lab.prove(device, tls: SigningKey()),
            ]
            let none = JoinRequest(
                secret: token.secret, request: try await node.request(token.secret, in: lab).request,
                statement: try lab.signed(statement, by: node.tls))
            try expect(try await lab.client().post("/v1/join", none), 400, "invalid", "proof")
            for proof in bad + bad {
                let request = try await node.request(token.secret, in: lab, statement: statement, proof: proof)
                try expect(try await lab.client().post("/v1/join", request), 400, "invalid")
            }
            let late = try await lab.prove(device, tls: node.tls)
            lab.clock.advance(by: Challenge.lifetime)
            let request = try await node.request(token.secret, in: lab, statement: statement, proof: late)
            try expect(try await lab.client().post("/v1/join", request), 400, "invalid", "too old")
        }
    }

    @Test func `challenges are bounded, and make room again`() throws {
        let (challenges, now) = (Challenges(), Timestamp(rawValue: 1_800_000_000_000))
        for _ in 0..<Challenges.maximum { _ = try challenges.make(for: testKey(), now: now) }
        #expect(throws: Refusal.self) { try challenges.make(for: testKey(), now: now) }
        _ = try challenges.make(for: testKey(), now: now + Challenge.lifetime)
        let low = try #require(WireGuardPublicKey(bytes: [UInt8](repeating: 0, count: 32)))
        #expect(throws: Refusal.self) { try challenges.make(for: low, now: now) }
    }

    @Test func `a node moves, and has another WireGuard key`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            let client = try lab.nodeClient(node)
            var stream = try await lab.listen(node)
            _ = try await stream.next()
            let moved = try lab.signed(
                try node.statement(endpoint: "198.51.100.1:51820"), by: node.tls, after: .milliseconds(1))
            let version: VersionResponse = try await client.post("/v1/node", NodeRequest(statement: moved)).read()
            let event = try await stream.next()
            guard case .changes(let changes) = event.content else { throw Unexpected("\(event)") }
            #expect(event.version == version.version && changes.nodes.map(\.statement) == [moved])
            // A key needs a proof, and a statement a newer moment.
            let device = Curve25519.KeyAgreement.PrivateKey()
            let rotated = try lab.signed(
                try node.statement(key: publicKey(of: device)), by: node.tls, after: .milliseconds(20))
            try expect(try await client.post("/v1/node", NodeRequest(statement: rotated)), 400, "invalid", "proof")
            let proof = try await lab.prove(device, tls: node.tls)
            _ = try await client.post("/v1/node", NodeRequest(statement: rotated, proof: proof)).read(
                VersionResponse.self)
            let old = try lab.signed(try node.statement(), by: node.tls, after: .milliseconds(2))
            try expect(
                try await client.post(
                    "/v1/node", NodeRequest(statement: rotated)), 409, "conflict", "not before")
            try expect(try await client.post("/v1/node", NodeRequest(statement: old)), 400, "invalid", "proof")
            guard case .changes(let next) = try await stream.next().content else { throw Unexpected("no changes") }
            #expect(next.nodes.map(\.statement) == [rotated])
        }
    }

    @Test func `a node speaks for itself only, with keys that nobody has`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            let client = try lab.nodeClient(one)
            let foreign = try lab.signed(try two.statement(key: one.key), by: one.tls, after: .milliseconds(1))
            try expect(try await client.post("/v1/node", NodeRequest(statement: foreign)), 403, "forbidden")
            let copied = try lab.signed(try one.statement(), by: two.tls, after: .milliseconds(1))
            try expect(try await client.post("/v1/node", NodeRequest(statement: copied)), 400, "invalid")
        }
    }

    @Test func `a certificate is renewed, with its key or with another`() async throws {
        try await withCoordinator { lab in
            var node = try await lab.join("web-1")
            let old = try lab.nodeClient(node)
            let id = SPIFFEID(mesh: lab.mesh, role: .node(node.name))
            let same = NodeCertificateRequest(request: try CertificateRequest.make(with: node.tls, for: id))
            node.certificate = try await old.post("/v1/node/certificate", same).read(CertificateResponse.self)
                .certificate
            // The one before holds too, for the answer may have been lost.
            #expect(try await old.get("/v1/confirmations?version=0").status == 200)
            let client = try lab.nodeClient(node)
            _ = try await client.map()

            let key = SigningKey()
            let request = try CertificateRequest.make(with: key, for: id)
            try expect(
                try await client.post("/v1/node/certificate", NodeCertificateRequest(request: request)), 400,
                "invalid", "signed by it")
            let half = try lab.signed(try node.statement(), by: key)
            try expect(
                try await client.post(
                    "/v1/node/certificate", NodeCertificateRequest(request: request, statement: half)), 400, "invalid")
            let both = try lab.signed(try node.statement(), by: node.tls).signed(also: key.privateKey)
            let renewed = try await client.post(
                "/v1/node/certificate", NodeCertificateRequest(request: request, statement: both)
            ).read(CertificateResponse.self)
            let next = try lab.client(certificate: renewed.certificate, key: key.pem)
            let map = try await next.map()
            #expect(map.nodes.map(\.certificate) == [renewed.certificate])
            #expect(try await client.get("/v1/confirmations?version=0").status == 200)
            try expect(try await old.get("/v1/map"), 401, "unauthenticated")
        }
    }

    @Test func `a session has another key, and keeps its place`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
            let (id, client) = (testSession(), try lab.nodeClient(node))
            let first: SessionResponse = try await client.post(
                "/v1/sessions", try node.session(of: "a", in: lab, id: id)
            ).read()
            let key = testKey()
            let second: SessionResponse = try await client.post(
                "/v1/sessions", try node.session(of: "a", in: lab, id: id, key: key, after: .milliseconds(5))
            ).read()
            #expect((second.peer, second.offset, second.maximum) == (first.peer, first.offset, first.maximum))
            let older = try node.session(of: "a", in: lab, id: id, after: .seconds(-60))
            try expect(try await client.post("/v1/sessions", older), 409, "conflict", "not before")
            let map = try await client.map()
            guard case .session(let said) = try lab.statement(try #require(map.sessions.first).statement) else {
                throw Unexpected("no session")
            }
            #expect(said.key == key)
        }
    }

    @Test func `who asks for sessions without end is told to wait`() async throws {
        try await withCoordinator { lab in
            let (node, other) = (try await lab.join("web-1"), try await lab.join("web-2"))
            // By a clock that stands still: none is given back while the burst lasts.
            lab.clock.stop()
            let (client, request) = (try lab.nodeClient(node), try node.session(of: "nobody", in: lab))
            for _ in 0..<500 { try expect(try await client.post("/v1/sessions", request), 404, "missing") }
            try expect(try await client.post("/v1/sessions", request), 429, "busy", "50 a second")
            let others = try other.session(of: "nobody", in: lab)
            try expect(try await lab.nodeClient(other).post("/v1/sessions", others), 404, "missing")
            lab.clock.advance(by: .milliseconds(20))
            try expect(try await client.post("/v1/sessions", request), 404, "missing")
        }
    }
}
