import AsyncHTTPClient
import CoordinationAPI
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import Testing

/// Who may ask for what: mutual TLS and the registry.
@Suite struct CallerTests {
    static let nodeRoutes = ["/v1/map", "/v1/confirmations?version=1&node=a"]

    @Test func `without a certificate only the CA and joining are there`() async throws {
        try await withCoordinator { lab in
            let client = try lab.client()
            for path in Self.nodeRoutes + ["/v1/registry"] {
                try expect(try await client.get(path), 401, "unauthenticated")
            }
            for path in ["/v1/sessions", "/v1/changes", "/v1/join-tokens"] {
                try expect(try await client.send(.POST, path, .bytes(.init(string: "{}"))), 401, "unauthenticated")
            }
            try expect(try await client.delete("/v1/sessions/\(testSession())"), 401, "unauthenticated")
            let ca = try await client.get("/v1/ca")
            #expect(String(decoding: ca.bytes, as: UTF8.self) == lab.admin.ca)
        }
    }

    @Test func `a node does not do an admin's work, nor an admin a node's`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            let client = try lab.nodeClient(node)
            try expect(try await client.get("/v1/registry"), 403, "forbidden")
            try expect(
                try await client.post("/v1/join-tokens", JoinTokenRequest(node: nil, lifetimeSeconds: 60)), 403,
                "forbidden")
            try expect(try await client.post("/v1/changes", ChangeRequest(documents: [])), 403, "forbidden")
            let admin = try lab.adminClient()
            for path in Self.nodeRoutes { try expect(try await admin.get(path), 403, "forbidden") }
            try expect(try await admin.post("/v1/sessions", try node.session(of: "a", in: lab)), 403, "forbidden")
        }
    }

    @Test func `a certificate of another CA does not get past TLS`() async throws {
        try await withCoordinator { lab in
            let key = SigningKey()
            let twin = try CertificateAuthority(new: lab.mesh, at: lab.clock.now)
            let forged = try twin.issueAdmin(try UserName("ann"), key: key.publicKey, at: lab.clock.now)
            let client = try lab.client(certificate: forged.pem, key: key.pem)
            await #expect(throws: (any Error).self) { try await client.get("/v1/registry") }
            await #expect(throws: (any Error).self) { try await client.get("/v1/ca") }
        }
    }

    @Test func `a certificate that is not the registered one is refused, though the CA issued it`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            let request = try CertificateRequest(verifying: try await node.request("", in: lab).request)
            for name in ["web-1", "web-2"] {
                let other = try lab.ca.issueNode(try NodeName(name), request: request, at: lab.clock.now)
                let client = try lab.client(certificate: other.pem, key: node.tls.pem)
                try expect(try await client.get("/v1/map"), 401, "unauthenticated", "joined with")
            }
            let admin = try lab.ca.issueAdmin(
                try UserName("ann"), key: node.tls.publicKey, at: lab.clock.now)
            let client = try lab.client(certificate: admin.pem, key: node.tls.pem)
            try expect(try await client.get("/v1/registry"), 401, "unauthenticated")
        }
    }

    @Test func `a certificate that expired is refused on a connection that is open`() async throws {
        try await withCoordinator { lab in
            let client = try lab.nodeClient(try await lab.join("web-1"))
            _ = try await client.map()
            lab.clock.advance(by: .seconds(31 * 86_400))
            try expect(try await client.get("/v1/map"), 401, "unauthenticated")
        }
    }

    @Test func `the coordinator's own certificate is none of a caller`() async throws {
        try await withCoordinator { lab in
            let key = SigningKey()
            let server = try lab.ca.issueServer(
                hosts: [try ServerHost("127.0.0.1")], key: key.publicKey, at: lab.clock.now)
            let client = try lab.client(certificate: server.pem, key: key.pem)
            let answer = try? await client.get("/v1/registry")
            #expect(answer == nil || answer?.status == 401)
        }
    }
}
