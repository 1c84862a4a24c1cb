import CoordinationAPI
import Identity
import Mesh
import PosternCoordinator
import Testing

/// Sessions start where they may, renew, and end.
@Suite struct SessionTests {
    @Test func `a node starts a session of an agent that it may launch`() async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            let request = try node.session(of: "a", in: lab)
            let started: SessionResponse = try await lab.nodeClient(node).post("/v1/sessions", request).read()
            let map = try await lab.nodeClient(node).map()
            #expect(map.version == started.version)
            let entry = MapMessage.SessionEntry(
                peer: started.peer, offset: started.offset, expires: started.expires,
                maximum: started.maximum, statement: request.statement)
            #expect(map.sessions == [entry])
            #expect(map.nodes.map(\.peer) != [started.peer])
            #expect(map.nodes.map(\.offset) != [started.offset])
        }
    }

    @Test func `a session where the agent may not be is refused`() async throws {
        try await withCoordinator { lab in
            let first = try await node(in: lab)
            let second = try await lab.join("web-2")
            let client = try lab.nodeClient(second)
            let version = try await lab.version()
            try expect(
                try await client.post("/v1/sessions", try second.session(of: "a", in: lab)), 403, "forbidden", "`web-2`"
            )
            try expect(
                try await client.post("/v1/sessions", try second.session(of: "b", in: lab)), 404, "missing", "`b`")
            // In another node's name, with its own key and with a statement that it copied.
            let claimed = try second.session(of: "a", in: lab, node: first.name)
            try expect(try await client.post("/v1/sessions", claimed), 403, "forbidden")
            try expect(try await client.post("/v1/sessions", try first.session(of: "a", in: lab)), 400, "invalid")
            #expect(try await lab.version() == version)
        }
    }

    @Test func `a disabled agent, or one below a disabled crew, does not start`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(
                try agent("a", nodes: [node.name], disabled: true), try agent("crew", nodes: [], disabled: true),
                try agent("crew/writer", nodes: [node.name])
            ).read(VersionResponse.self)
            for name in ["a", "crew/writer"] {
                let answer = try await lab.nodeClient(node).post("/v1/sessions", try node.session(of: name, in: lab))
                try expect(answer, 403, "forbidden", "disabled")
            }
        }
    }

    @Test func `a WireGuard key that a peer has, or none should have, is refused`() async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            let client = try lab.nodeClient(node)
            let session = try node.session(of: "a", in: lab, key: testKey())
            _ = try await client.post("/v1/sessions", session).read(SessionResponse.self)
            let taken = try node.session(of: "a", in: lab, key: node.key)
            try expect(try await client.post("/v1/sessions", taken), 409, "conflict", "WireGuard")
            let low = try #require(WireGuardPublicKey(bytes: [UInt8](repeating: 0, count: 32)))
            try expect(
                try await client.post("/v1/sessions", try node.session(of: "a", in: lab, key: low)), 400, "invalid",
                "low order")
        }
    }

    @Test func `a statement does not start a second session`() async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            let client = try lab.nodeClient(node)
            let id = testSession()
            let request = try node.session(of: "a", in: lab, id: id)
            _ = try await client.post("/v1/sessions", request).read(SessionResponse.self)
            try expect(try await client.post("/v1/sessions", request), 409, "conflict")
            _ = try await client.delete("/v1/sessions/\(id)").read(VersionResponse.self)
            try expect(try await client.post("/v1/sessions", request), 409, "conflict")
        }
    }

    @Test func `a session is renewed in its place, to its longest duration`() async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            let client = try lab.nodeClient(node)
            let (id, key, start) = (testSession(), testKey(), lab.clock.now)
            func request() throws -> SessionRequest { try node.session(of: "a", in: lab, id: id, key: key) }
            let first: SessionResponse = try await client.post("/v1/sessions", try request()).read()
            for _ in 0..<47 {
                lab.clock.advance(by: .seconds(600))
                let again: SessionResponse = try await client.post("/v1/sessions", try request()).read()
                #expect((again.peer, again.offset) == (first.peer, first.offset))
                #expect(again.expires > lab.clock.now)
            }
            lab.clock.advance(by: .seconds(600))
            try expect(try await client.post("/v1/sessions", try request()), 403, "forbidden", "longest")
            #expect(lab.clock.now - start >= SessionLimit.maximum)
        }
    }

    @Test func `an id does not become another agent's session`() async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            _ = try await lab.change(try agent("b", nodes: [node.name])).read(VersionResponse.self)
            let (id, key, client) = (testSession(), testKey(), try lab.nodeClient(node))
            _ = try await client.post("/v1/sessions", try node.session(of: "a", in: lab, id: id, key: key)).read(
                SessionResponse.self)
            let changed = try node.session(of: "b", in: lab, id: id, key: key)
            try expect(try await client.post("/v1/sessions", changed), 409, "conflict", "id")
        }
    }

    @Test func `a session ends for its own node and for an admin, and for no other node`() async throws {
        try await withCoordinator { lab in
            let (node, other) = (try await node(in: lab), try await lab.join("web-2"))
            let (one, two) = (testSession(), testSession())
            for id in [one, two] {
                _ = try await lab.nodeClient(node).post("/v1/sessions", try node.session(of: "a", in: lab, id: id))
                    .read(
                        SessionResponse.self)
            }
            try expect(try await lab.nodeClient(other).delete("/v1/sessions/\(one)"), 404, "missing")
            #expect(try await lab.nodeClient(node).delete("/v1/sessions/\(one)").status == 200)
            try expect(try await lab.nodeClient(node).delete("/v1/sessions/\(one)"), 404, "missing")
            #expect(try await lab.adminClient().delete("/v1/sessions/\(two)").status == 200)
            #expect(try await lab.adminClient().get("/v1/registry").read(Registry.self).sessions.isEmpty)
        }
    }

    @Test(arguments: [true, false])
    func `sessions end with the permission to run`(removed: Bool) async throws {
        try await withCoordinator { lab in
            let node = try await node(in: lab)
            _ = try await lab.nodeClient(node).post("/v1/sessions", try node.session(of: "a", in: lab)).read(
                SessionResponse.self)
            let name = try AgentName("a")
            let change = removed ? Statement.removal(.agent(name)) : try agent("a", nodes: [node.name], disabled: true)
            _ = try await lab.change(change).read(VersionResponse.self)
            #expect(try await lab.adminClient().get("/v1/registry").read(Registry.self).sessions.isEmpty)
        }
    }

    /// A node that may launch agent `a`.
    private func node(in lab: Lab) async throws -> TestNode {
        let node = try await lab.join("web-1")
        _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
        return node
    }
}
