import CoordinationAPI
import Identity
import Mesh
import Testing

/// Admins' signed documents, all or nothing.
@Suite struct ChangeTests {
    static let permit = """
        permit (
            principal == Agent::"a",
            action == Action::"connect",
            resource == Service::"db"
        );
        """

    @Test func `what an admin signed stands in the registry and in the map`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            let before = try await lab.version()
            let statements = [
                try agent("a", nodes: [node.name]), try service("db", on: "web-1"), try policy(Self.permit),
            ]
            let envelopes = try statements.map { try lab.signed($0) }
            let made = try await lab.adminClient().post("/v1/changes", ChangeRequest(documents: envelopes))
            #expect(try made.read(VersionResponse.self).version == before + 1)

            let registry = try await lab.adminClient().get("/v1/registry").read(Registry.self)
            #expect(
                registry.agents.map { .agent($0) } + registry.services.map { .service($0) }
                    + registry.policies.map { .policy($0) } == statements)
            let map = try await lab.nodeClient(node).map()
            #expect(Set(map.definitions.dropFirst()) == Set(envelopes))
        }
    }

    @Test func `a document without a signature of an admin's key is refused`() async throws {
        try await withCoordinator { lab in
            let statement = try agent("a", nodes: [])
            let good = try lab.signed(statement)
            let other = Document(mesh: try MeshDomain("other.example"), madeAt: lab.clock.now, statement: statement)
            let bad = [
                Envelope(document: good.document, signatures: []),
                try lab.signed(statement, by: SigningKey()),
                try lab.signed(statement, by: try lab.ca.key),
                Envelope(document: good.document.replacing("\"a\"", with: "\"b\""), signatures: good.signatures),
                Envelope(document: good.document + " ", signatures: good.signatures),
                Envelope(
                    document: good.document,
                    signatures: good.signatures
                        + (try lab.signed(try agent("b", nodes: []), by: SigningKey())).signatures),
                Envelope(document: good.document, signatures: Array(repeating: good.signatures[0], count: 9)),
                try Envelope(signing: other, with: lab.adminKey.privateKey),
            ]
            let client = try lab.adminClient()
            let before = try await lab.version()
            for envelope in bad {
                try expect(try await client.post("/v1/changes", ChangeRequest(documents: [envelope])), 403, "forbidden")
            }
            #expect(try await lab.version() == before)
            #expect(try await client.post("/v1/changes", ChangeRequest(documents: [good])).status == 200)
        }
    }

    @Test func `a document that was received before does not come back`() async throws {
        try await withCoordinator { lab in
            let envelope = try lab.signed(try agent("a", nodes: []))
            let client = try lab.adminClient()
            _ = try await client.post("/v1/changes", ChangeRequest(documents: [envelope])).read(VersionResponse.self)
            _ = try await lab.change(.removal(.agent(try AgentName("a")))).read(VersionResponse.self)
            let resigned = Envelope(
                document: envelope.document,
                signatures: envelope.signatures + (try lab.signed(try agent("a", nodes: []))).signatures.prefix(0))
            for replay in [envelope, resigned] {
                try expect(
                    try await client.post("/v1/changes", ChangeRequest(documents: [replay])), 409, "conflict", "before")
            }
            try expect(
                try await client.post(
                    "/v1/changes",
                    ChangeRequest(documents: Array(repeating: try lab.signed(try agent("b", nodes: [])), count: 2))),
                409, "conflict", "twice")
            #expect(try await client.get("/v1/registry").read(Registry.self).agents.isEmpty)
        }
    }

    @Test(arguments: [-601, 601])
    func `a document from another time is refused`(seconds: Int) async throws {
        try await withCoordinator { lab in
            // The request takes a moment itself, which must not bring a document of the future into bounds.
            let margin = seconds > 0 ? 30 : 0
            let envelope = try lab.signed(try agent("a", nodes: []), after: .seconds(seconds + margin))
            let answer = try await lab.adminClient().post("/v1/changes", ChangeRequest(documents: [envelope]))
            try expect(answer, 400, "invalid", "ten minutes")
        }
    }

    @Test func `one bad document undoes the good ones beside it`() async throws {
        try await withCoordinator { lab in
            let before = try await lab.version()
            let good = try lab.signed(try agent("a", nodes: []))
            let bad = try lab.signed(.removal(.service(try ServiceName("nothing"))))
            let client = try lab.adminClient()
            try expect(
                try await client.post("/v1/changes", ChangeRequest(documents: [good, bad])), 404, "missing", "`nothing`"
            )
            #expect(try await lab.version() == before)
            #expect(try await client.get("/v1/registry").read(Registry.self).agents.isEmpty)
            // Nor does the registry remember to have seen the good one.
            #expect(try await client.post("/v1/changes", ChangeRequest(documents: [good])).status == 200)
        }
    }

    @Test func `no documents are no change, nor are too many`() async throws {
        try await withCoordinator { lab in
            let client = try lab.adminClient()
            try expect(try await client.post("/v1/changes", ChangeRequest(documents: [])), 400, "invalid")
            let many = Array(
                repeating: try lab.signed(try agent("a", nodes: [])), count: ChangeRequest.maximumDocuments + 1)
            try expect(try await client.post("/v1/changes", ChangeRequest(documents: many)), 400, "invalid")
        }
    }

    @Test func `definitions name only nodes that joined`() async throws {
        try await withCoordinator { lab in
            try expect(try await lab.change(try agent("a", nodes: [try NodeName("no")])), 400, "invalid", "`no`")
            try expect(try await lab.change(try service("db", on: "no")), 400, "invalid", "`no`")
        }
    }

    @Test(arguments: [
        ("permit (principal == Agent::\"typo\", action, resource);", "main.cedar:1:"),
        ("forbid (principal, action, resource == Service::\"typo\");", "main.cedar:1:"),
        ("\n\n  permit (principal, action", "main.cedar:3:"),
        ("hello", "main.cedar:1:"),
    ])
    func `a policy that cannot hold is refused with its place`(text: String, place: String) async throws {
        try await withCoordinator { lab in
            try expect(try await lab.change(try policy(text)), 400, "invalid", place)
            #expect(try await lab.adminClient().get("/v1/registry").read(Registry.self).policies.isEmpty)
        }
    }

    @Test func `an agent that a policy names can be removed, and other policies still be written`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(
                try agent("a", nodes: [node.name]), try service("db", on: "web-1"), try policy(Self.permit)
            ).read(VersionResponse.self)
            _ = try await lab.change(.removal(.agent(try AgentName("a")))).read(VersionResponse.self)
            let other = try policy("forbid (principal, action, resource == Service::\"db\");", name: "other.cedar")
            #expect(try await lab.change(other).status == 200)
        }
    }

    @Test func `a node's statements are not an admin's to make`() async throws {
        try await withCoordinator { lab in
            try expect(try await lab.change(try TestNode("web-1").statement()), 403, "forbidden")
        }
    }
}
