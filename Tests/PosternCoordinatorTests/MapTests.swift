import CoordinationAPI
import Identity
import Mesh
import PosternCoordinator
import Testing

/// Maps that can be checked, and their confirmations.
@Suite struct MapTests {
    @Test func `a node gets the map with what it needs to check it`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            // Each has a service that agents of the other may call.
            _ = try await lab.change(
                try agent("a", nodes: [one.name, two.name]), try service("x", on: "web-1"),
                try service("y", on: "web-2"),
                try policy("permit (principal, action, resource);")
            ).read(VersionResponse.self)
            let asked = lab.clock.now
            var stream = try await lab.listen(one)
            let event = try await stream.next()
            #expect(event.issuedAt >= asked)
            guard case .whole(let map) = event.content else { throw Unexpected("\(event)") }
            #expect((map.mesh, map.version) == (lab.mesh, event.version))
            #expect(Set(map.nodes.map(\.peer)).count == 2)
            #expect(Set(map.nodes.map(\.offset)).count == 2)
            for (entry, node) in zip(map.nodes, [one, two]) {
                let certificate = try EncodedCertificate(pem: entry.certificate)
                let verified = try await lab.ca.anchor.verify(certificate, for: .client, at: lab.clock.now)
                let document = try entry.statement.document(signedByOneOf: [verified.publicKey], of: lab.mesh)
                #expect(verified.id.role == .node(node.name))
                #expect(try document.statement == node.statement())
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `confirmations come as soon as all have applied`() async throws {
        try await withCoordinator { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            let (first, second) = (try lab.nodeClient(one), try lab.nodeClient(two))
            let version = try await lab.version()
            _ = try await first.post("/v1/applied", AppliedRequest(version: version))
            async let held = first.get("/v1/confirmations?version=\(version)&node=web-1&node=web-2")
            _ = try await second.post("/v1/applied", AppliedRequest(version: version))
            let response = try await held.read(ConfirmationResponse.self)
            #expect(response.confirmed == [one.name, two.name])
            #expect(response.missing.isEmpty)
            let nodes = try await lab.adminClient().get("/v1/registry").read(Registry.self).nodes
            #expect(nodes.map(\.applied) == [version, version])
            #expect(nodes.allSatisfy { $0.seenAt != nil })
        }
    }

    @Test func `who has not applied the version is named`() async throws {
        try await withCoordinator(holds: Holds(confirmation: .milliseconds(50))) { lab in
            let (one, two) = (try await lab.join("web-1"), try await lab.join("web-2"))
            let client = try lab.nodeClient(one)
            let version = try await lab.version()
            _ = try await client.post("/v1/applied", AppliedRequest(version: version))
            _ = try await lab.nodeClient(two).post("/v1/applied", AppliedRequest(version: version - 1))
            let path = "/v1/confirmations?version=\(version)&node=web-1&node=web-2&node=web-3"
            let response = try await client.get(path).read(ConfirmationResponse.self)
            #expect(response.confirmed == [one.name])
            #expect(response.missing == [two.name, try NodeName("web-3")])
        }
    }
}
